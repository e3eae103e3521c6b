"""What `setup.cfg` cannot say: the bundles lie beside the package and are installed inside it."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["medkd", "medkd.*"]), "medkd.bundles"],
    package_dir={"medkd.bundles": "bundles"},
    package_data={
        "medkd": ["py.typed"],
        "medkd.export": ["templates/*.json"],
        "medkd.bundles": ["**/*.json", "**/*.conf", "**/*.md"],
    },
)
