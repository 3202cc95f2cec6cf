import io

import pytest

from winnow.intake.groups import parse_groups
from winnow.pipeline.messages import UserError

HEADER = "name,group\n"


def refused(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        parse_groups(io.BytesIO(content), "source 'x'", entries=1)
    return str(caught.value)


def test_names_and_groups_in_any_spelling_of_unicode_and_any_order_of_columns() -> None:
    text = '\ufeffGroup,Comment,NAME\r\n scene 1 ,x,"a\u0308,b.png"\r\nu\u0308,,c.png\r\n,,d.png\r\n'
    assert parse_groups(io.BytesIO(text.encode()), "x", entries=1) == {"\u00e4,b.png": "scene 1", "c.png": "\u00fc"}


@pytest.mark.parametrize("header", ["", "name", "file,group", "name;group"])
def test_wrong_columns(header: str) -> None:
    message = refused(f"{header}\n".encode())
    assert message.startswith("source 'x': groups.csv needs the columns name, group, got ")
    assert message.endswith("; name them so")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}ä,1\n".encode("utf-16"), "groups.csv is no text in UTF-8; save it as CSV in UTF-8"),
        (b'name,group\n"open,1\n', "groups.csv, line 2: no CSV (unexpected end of data); mend the row's quotes"),
    ],
)
def test_no_csv(content: bytes, message: str) -> None:
    assert refused(content) == f"source 'x': {message}"


@pytest.mark.parametrize("other", ["2", ""])
def test_a_name_in_two_groups_is_refused_and_a_repetition_is_not(other: str) -> None:
    assert "groups.csv puts 'a.png' into two groups" in refused(f"{HEADER}a.png,1\na.png,{other}\n".encode())
    assert parse_groups(io.BytesIO(f"{HEADER}a.png,1\na.png,1 \n".encode()), "x", entries=1) == {"a.png": "1"}
