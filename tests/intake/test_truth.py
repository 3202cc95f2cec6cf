import io

import pytest

from winnow.intake.truth import Truth, match_names, parse_truth
from winnow.pipeline.messages import UserError

HEADER = "name,label,noise\n"


def parse(text: str) -> dict[str, Truth]:
    return parse_truth(io.BytesIO(text.encode()), "source 'x'", entries=1)


def refused(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        parse_truth(io.BytesIO(content), "source 'x'", entries=1)
    return str(caught.value)


@pytest.mark.parametrize("noise", ["", "0", "false", "False", "NO", "none", "None", " 0 ", "0.0"])
def test_words_for_an_image_of_its_class(noise: str) -> None:
    assert parse(f"{HEADER}a.png,ii,{noise}\n") == {"a.png": Truth("ii", False)}


@pytest.mark.parametrize("noise", ["1", "true", "yes", "heart", "other numeral"])
def test_words_for_junk_which_has_no_class(noise: str) -> None:
    assert parse(f"{HEADER}a.png,ii,{noise}\n") == {"a.png": Truth(None, True)}


def test_no_label_is_junk() -> None:
    assert parse(f"{HEADER}a.png,,\n") == {"a.png": Truth(None, True)}


def test_quotes_newlines_order_of_columns_and_spreadsheets_marks() -> None:
    text = '\ufeffNoise,Name,Comment,Label\r\n0,"a ""b""\n,c.png",x,ii\r\n'
    assert parse(text) == {'a "b"\n,c.png': Truth("ii", False)}


@pytest.mark.parametrize("header", ["", "name,label", "file,class,noise", "name;label;noise"])
def test_wrong_columns(header: str) -> None:
    message = refused(f"{header}\n".encode())
    assert message.startswith("source 'x': truth.csv needs the columns name, label, noise, got ")
    assert message.endswith("; name them so")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}ä,ii,0\n".encode("utf-16"), "truth.csv is no text in UTF-8; save it as CSV in UTF-8"),
        (
            b'name,label,noise\n"open,ii,0\n',
            "truth.csv, line 2: no CSV (unexpected end of data); mend the row's quotes",
        ),
    ],
)
def test_no_csv(content: bytes, message: str) -> None:
    assert refused(content) == f"source 'x': {message}"


def test_contradiction_and_repetition() -> None:
    assert "has contradicting rows about 'a.png'" in refused(f"{HEADER}a.png,i,0\na.png,ii,0\n".encode())
    assert parse(f"{HEADER}a.png,i,0\na.png,i,\n") == {"a.png": Truth("i", False)}


def test_names_match_whole_with_wrapper_or_by_their_end() -> None:
    names = ["train/a/1.png", "train/a/2.png", "val/a/2.png", "train/b/3.png"]
    told = {
        "train/a/1.png": "train/a/1.png",
        "data/train/a/2.png": "train/a/2.png",
        "./val/a/2.png": "val/a/2.png",
        "train\\b\\3.png": "train/b/3.png",
        "3.png": "train/b/3.png",
        "b/3.png": "train/b/3.png",
    }
    assert match_names(told, names, "data/") == told


def test_names_that_mean_nothing_or_several_do_not_match() -> None:
    names = ["train/a/2.png", "val/a/2.png", "train/b/3.png"]
    assert match_names(["2.png", "a/2.png", "gone.png", "", "ng"], names, "") == {}
