"""The ``medkd`` command: thin, one verb a file."""
