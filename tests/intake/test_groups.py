import pytest

from winnow.intake.groups import parse_groups
from winnow.pipeline.messages import UserError

HEADER = "name,group\n"


def refused(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        parse_groups(content, "source 'x'")
    return str(caught.value)


def test_names_and_groups_in_any_spelling_of_unicode_and_any_order_of_columns() -> None:
    text = '\ufeffGroup,Comment,NAME\r\n scene 1 ,x,"a\u0308,b.png"\r\nu\u0308,,c.png\r\n,,d.png\r\n'
    assert parse_groups(text.encode(), "x") == {"\u00e4,b.png": "scene 1", "c.png": "\u00fc"}


@pytest.mark.parametrize("header", ["", "name", "file,group", "name;group"])
def test_wrong_columns(header: str) -> None:
    message = refused(f"{header}\n".encode())
    assert message.startswith("source 'x': groups.csv needs the columns name, group, got ")
    assert message.endswith("; name them so")


@pytest.mark.parametrize("content", [f"{HEADER}ä,1\n".encode("utf-16"), b'name,group\n"open,1\n'])
def test_no_csv(content: bytes) -> None:
    assert "groups.csv is no CSV in UTF-8" in refused(content)


@pytest.mark.parametrize("other", ["2", ""])
def test_a_name_in_two_groups_is_refused_and_a_repetition_is_not(other: str) -> None:
    assert "groups.csv puts 'a.png' into two groups" in refused(f"{HEADER}a.png,1\na.png,{other}\n".encode())
    assert parse_groups(f"{HEADER}a.png,1\na.png,1 \n".encode(), "x") == {"a.png": "1"}
