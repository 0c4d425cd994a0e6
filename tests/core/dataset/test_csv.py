import gzip

import numpy as np
import pytest

from morphml_core.dataset.csv import Config, Csv
from morphml_core.errors import EvaluationError


def write(folder, text):
    path = folder / "table.csv"
    path.write_text(text)
    return path


def refusal(config):
    with pytest.raises(EvaluationError) as caught:
        Csv(config).load()
    return str(caught.value)


def whole(folder, text, **options):
    return Csv(Config(write(folder, text), valid=0, test=0, **options)).load()


def test_numbers_come_first_then_one_feature_a_category(tmp_path):
    data = whole(tmp_path, "colour,size,label\nred,1.5,a\nblue,2,b\nred,3,a\n")
    np.testing.assert_array_equal(data.train.inputs, [[1.5, 0, 1], [2, 1, 0], [3, 0, 1]])
    assert data.train.targets.tolist() == [0, 1, 0]
    assert data.classes == ("a", "b")


def test_few_whole_numbers_are_classes(tmp_path):
    data = whole(tmp_path, "x,y\n1,3\n2,10\n3,3\n")
    assert data.classes == ("3", "10")
    assert not data.regression


def test_fractions_are_regression(tmp_path):
    data = whole(tmp_path, "x,y\n1,3.5\n2,10\n3,3\n")
    assert data.regression
    np.testing.assert_array_equal(data.train.targets, [[3.5], [10], [3]])


def test_the_task_can_be_said(tmp_path):
    assert whole(tmp_path, "x,y\n1,3\n2,10\n", task="regression").regression
    assert whole(tmp_path, "x,y\n1,3.5\n2,10\n", task="classification").classes == ("3.5", "10")


def test_columns_without_names_are_counted(tmp_path):
    data = whole(tmp_path, "5,a\n6,b\n", header=False)
    np.testing.assert_array_equal(data.train.inputs, [[5], [6]])


def test_compressed_tables_are_read(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"x,y\n1,a\n2,b\n"))
    assert len(Csv(Config(path, valid=0, test=0)).load().train) == 2


def test_ignored_columns_may_have_gaps(tmp_path):
    data = whole(tmp_path, "id,x,y\n,1,a\n8,2,b\n", ignore=("id",))
    np.testing.assert_array_equal(data.train.inputs, [[1], [2]])


def test_rows_with_gaps_can_be_dropped(tmp_path):
    data = whole(tmp_path, "x,y\n1,a\n?,b\n3,a\n4,NaN\n", missing="drop")
    np.testing.assert_array_equal(data.train.inputs, [[1], [3]])


def test_categorical_columns_can_be_dropped(tmp_path):
    data = whole(tmp_path, "c,x,y\nq,1,a\nr,2,b\n", categorical="drop")
    np.testing.assert_array_equal(data.train.inputs, [[1], [2]])


CASES = [
    ("x,y\n1,a\n2\n", {}, "row 3 of {path} has 1 values, but there are 2 columns"),
    ("x,y\n1,a\n,b\n", {}, "row 3 of {path} has no value in the column 'x'; fill it in, or set missing: drop"),
    (
        "id,x,y\n,,a\n",
        {"ignore": ("id",)},
        "row 2 of {path} has no value in the column 'x'; fill it in, or set missing: drop",
    ),
    ("x,y\n,a\n", {"missing": "drop"}, "every row of {path} has a missing value"),
    ("x,y\n", {}, "{path} has no rows of data"),
    ("", {}, "{path} has no rows of data"),
    ("x,x\n1,2\n", {}, "{path} has two columns named 'x'; name each column once"),
    ("x,y\n1,2\n", {"target": "z"}, "{path} has no column 'z' to predict; it has x, y"),
    ("x,y\n1,2\n", {"target": 2}, "{path} has no column '2' to predict; it has x, y"),
    ("x,y\n1,2\n", {"ignore": ("z",)}, "{path} has no column 'z' to ignore; it has x, y"),
    ("y\n1\n", {}, "{path} has no feature beside the target 'y'"),
    ("x,y\n1,a\n", {"task": "regression"}, "the target 'y' of {path} is not all numbers; regression needs numbers"),
    (
        "x,y\nq,a\n",
        {"categorical": "error"},
        "the column 'x' of {path} is not all numbers; set categorical: one_hot or drop",
    ),
    (
        "x,y\nq,a\nr,b\n",
        {"max_categories": 1},
        "the column 'x' of {path} has 2 categories, more than max_categories: 1; name it in 'ignore', or raise max_categories",
    ),
    ("x,y\ninf,a\n", {}, "the inputs of {path} have inf at (0, 0); every value must be a finite number"),
]


@pytest.mark.parametrize(("text", "options", "expected"), CASES)
def test_tables_that_cannot_be_used(tmp_path, text, options, expected):
    path = write(tmp_path, text)
    assert refusal(Config(path, **options)) == expected.format(path=path)


def test_missing_file(tmp_path):
    path = tmp_path / "none.csv"
    assert refusal(Config(path)) == f"the file {path} does not exist; name a CSV file in the option 'path'"


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"x,y\n\xff\xfe,1\n")
    assert refusal(Config(path)).startswith(f"{path} cannot be read as CSV: 'utf-8' codec can't decode byte 0xff")


def test_the_delimiter_is_one_character(tmp_path):
    with pytest.raises(ValueError) as caught:
        Config(tmp_path, delimiter=";;")
    assert str(caught.value) == "delimiter is one character, but got ';;'"
