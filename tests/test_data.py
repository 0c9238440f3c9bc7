"""Real MNIST files are made small here: right checksums are used, wrong ones never."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
import torchvision

from course import data


def _gz(array):
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


@pytest.fixture
def mirror(tmp_path):
    """Address of a mirror that serves the folder `net`."""
    folder = tmp_path / "net"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args): ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def files(monkeypatch, tmp_path, mirror):
    """A stand-in for torchvision's MNIST: 5,020 + 30 tiny images, with their true checksums."""
    rng = np.random.default_rng(0)
    made = {
        "train-images-idx3-ubyte.gz": _gz(rng.integers(0, 256, (5020, 4, 3))),
        "train-labels-idx1-ubyte.gz": _gz(np.arange(5020) % 10),
        "t10k-images-idx3-ubyte.gz": _gz(rng.integers(0, 256, (30, 4, 3))),
        "t10k-labels-idx1-ubyte.gz": _gz(np.arange(30) % 10),
    }
    sums = [(k, hashlib.md5(v).hexdigest()) for k, v in made.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [mirror])
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data._online, "offline", False, raising=False)
    data._load.cache_clear()
    return made


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def raw(tmp_path):
    return tmp_path / "data" / "MNIST" / "raw"


def test_files_in_course_data_are_used_and_split_by_place(files, tmp_path, capsys):
    put(raw(tmp_path), files)
    d = data.load("mnist")
    assert d.name == "mnist" and (len(d.train), len(d.val), len(d.test)) == (20, 5000, 30)
    assert d.n_features == 12 and d.n_classes == 10
    images = gzip.decompress(files["train-images-idx3-ubyte.gz"])[16:]
    first = torch.tensor(list(images[:12])).reshape(1, 4, 3) / 255
    assert torch.equal(d.val.x[0], first) and d.train.x.dtype == torch.float32
    assert d.train.y.tolist() == [i % 10 for i in range(5000, 5020)]
    assert capsys.readouterr().out.count("\n") == 1


def test_missing_files_are_downloaded_and_kept(files, tmp_path):
    put(tmp_path / "net", files)
    assert data.load("mnist").name == "mnist"
    assert {p.name for p in raw(tmp_path).iterdir()} == set(files)


@pytest.mark.parametrize("harm", ["truncated", "altered", "empty"])
def test_a_damaged_file_is_replaced(files, tmp_path, harm):
    name = "t10k-images-idx3-ubyte.gz"
    good = files[name]
    bad = {"truncated": good[:-9], "altered": good[:50] + b"x" + good[51:], "empty": b""}[harm]
    put(raw(tmp_path), files | {name: bad})
    put(tmp_path / "net", files)
    assert data.load("mnist").name == "mnist"
    assert (raw(tmp_path) / name).read_bytes() == good


def test_a_damaged_file_without_a_network_is_named_and_never_used(files, tmp_path, capsys):
    name = "t10k-images-idx3-ubyte.gz"
    put(raw(tmp_path), files | {name: b"partial"})
    d = data.load("mnist")
    out = capsys.readouterr().out
    assert d.name == "digits" and f"{name} is damaged" in out and out.count("\n") == 1
    assert (raw(tmp_path) / name).read_bytes() == b"partial"


def test_a_damaged_download_is_never_used_nor_kept(files, tmp_path):
    put(tmp_path / "net", dict.fromkeys(files, b"not it"))
    assert data.load("mnist").name == "digits"
    assert list(raw(tmp_path).iterdir()) == []


def test_unpacked_copies_beside_the_archives_are_not_trusted(files, tmp_path):
    put(raw(tmp_path), files | {"t10k-images-idx3-ubyte": b"rubbish"})
    assert len(data.load("mnist").test) == 30


def test_offline_says_so_in_one_line_and_does_not_try_twice(files, monkeypatch, capsys):
    tries = []
    import torchvision.datasets.utils as utils

    def refuse(*args, **kwargs):
        tries.append(args)
        raise OSError("no network")

    monkeypatch.setattr(utils, "download_url", refuse)
    assert data.load("mnist").name == "digits"
    assert data.load("fashion_mnist").name == "digits"
    assert len(tries) == 1
    assert capsys.readouterr().out.splitlines()[0].startswith("MNIST could not be downloaded")


def test_a_server_that_takes_the_call_and_is_silent_does_not_hold_up(files, monkeypatch):
    monkeypatch.setattr(data, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
        assert data.load("mnist").name == "digits"


def test_a_name_that_is_looked_up_for_long_does_not_hold_up(files, monkeypatch):
    monkeypatch.setattr(data, "ANSWER_SECONDS", 0.2)
    release = threading.Event()

    def look_up(*args, **kwargs):
        release.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(data.urllib.request, "urlopen", look_up)
    assert data.load("mnist").name == "digits" and not release.is_set()
    release.set()


def test_an_answer_that_is_no_http_counts_as_offline(files, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def talk():
            while True:
                try:
                    caller, _ = odd.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(4096)
                    caller.sendall(b"220 mail, not web\r\n")

        threading.Thread(target=talk, daemon=True).start()
        address = f"http://127.0.0.1:{odd.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
        monkeypatch.setattr(data, "_answers", lambda url: True)
        assert data.load("mnist").name == "digits"


def test_the_second_mirror_is_taken_when_the_first_is_bad(files, tmp_path, mirror, monkeypatch):
    put(tmp_path / "net", files)
    put(tmp_path / "net" / "bad", dict.fromkeys(files, b"not it"))
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [mirror + "bad/", mirror])
    assert data.load("mnist").name == "mnist"


def test_a_home_folder_is_written_with_a_tilde(files, tmp_path, monkeypatch):
    put(raw(tmp_path), files)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_DATA", "~/data")
    assert data.load("mnist").name == "mnist"


def test_files_can_be_inspected(files, tmp_path):
    names = list(files)
    put(raw(tmp_path), {names[0]: files[names[0]], names[1]: b"partial"})
    assert data.inspect("mnist") == dict(zip(names, ["whole", "damaged", "missing", "missing"]))


def test_a_folder_that_cannot_be_written_is_one_clear_line(files, tmp_path, monkeypatch):
    blocker = tmp_path / "a file"
    blocker.write_text("")
    monkeypatch.setenv("COURSE_DATA", str(blocker))
    with pytest.raises(RuntimeError, match="cannot be written") as e:
        data.load("mnist")
    assert f"COURSE_DATA={blocker}" in str(e.value) and "\n" not in str(e.value)


def test_a_read_only_folder_that_holds_the_data_is_enough(files, tmp_path, monkeypatch):
    put(raw(tmp_path), files)
    monkeypatch.setattr(data.tempfile, "TemporaryFile", None)
    assert data.load("mnist").name == "mnist"


def test_unknown_names_list_the_known(monkeypatch):
    with pytest.raises(ValueError, match="digits, mnist, fashion_mnist"):
        data.load("mnits")


def test_digits_are_split_by_seed_and_stratified():
    a, b, c = data.load("digits"), data.load("digits"), data.load("digits", seed=1)
    assert torch.equal(a.test.x, b.test.x) and not torch.equal(a.test.x, c.test.x)
    assert len(a.train) + len(a.val) + len(a.test) == 1797
    assert torch.bincount(a.test.y).min() >= 34
    assert a.train.x.shape[1:] == (1, 8, 8) and 0 <= a.train.x.min() and a.train.x.max() == 1


@pytest.fixture
def split():
    x = torch.arange(10.0).reshape(10, 1, 1, 1)
    return data.Split(x, torch.arange(10))


def test_batches_cover_each_example_once_and_stay_paired(split):
    g = torch.Generator().manual_seed(0)
    for epoch in (
        split.batches(4),
        split.batches(4, g),
        split.loader(4, shuffle=True, generator=g),
    ):
        got = list(epoch)
        assert [len(y) for _, y in got] == [4, 4, 2]
        assert all(torch.equal(x.flatten().long(), y) for x, y in got)
        assert sorted(torch.cat([y for _, y in got]).tolist()) == list(range(10))


def test_forever_reshuffles_each_epoch_and_a_seed_repeats_it(split):
    def first(n):
        stream = split.forever(5, torch.Generator().manual_seed(3))
        return [next(stream)[1].tolist() for _ in range(n)]

    a = first(4)
    assert a == first(4) and a[:2] != a[2:] and sorted(a[2] + a[3]) == list(range(10))


def test_an_impossible_batch_size_is_refused(split):
    with pytest.raises(ValueError, match="at least 1"):
        next(split.batches(0))


def test_importing_course_loads_nothing_heavy():
    code = "import sys, course; sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
