"""One semi-supervised run on two processes: two CPUs here, as they would be two GPUs."""

import pytest
import torch

from medkd.handlers import read_history

FILES = ("train.json", "multi_gpu.json")


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, "mean_teacher.json"], ids=["peers", "mean-teacher"])
def test_two_processes_train_peers_together(small_volumes, run_two_processes, tmp_path, method):
    settings = {k: v for k, v in small_volumes.items() if k != "member_num_epochs"}
    settings |= {"num_labeled": 2, "unlabeled_batch_size": 1, "split": "validation"}
    settings.pop("device")  # multi_gpu.json says it
    run = tmp_path / "run"
    files = (*FILES, *([method] if method else []))
    status, written = run_two_processes(files=files, bundle="dmd", **settings, output_dir=str(run))
    assert status == 0, written
    rows = read_history(run / "student" / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert {"label_1", "mutual", "val_dice"} <= set(rows[-1])
    assert (run / "log.txt").read_text().count("Training on 2 processes") == 1
    for name in ("model.pt", "peer_2.pt"):
        state = torch.load(run / "models" / name, weights_only=True)
        assert not any(weight.startswith("module.") for weight in state)
    assert written.count("Report: ") == 1
    assert not list(run.rglob("checkpoint.pt"))
