"""The judged images as tasks that Label Studio imports, with two predictions each, and its labelling interface.

A task's predictions are what Winnow did with the image (model_version ``winnow``, score: label quality where the label
is the one delivered) and the likeliest class by the ensemble (``ensemble``, score: its probability).

Sources: https://labelstud.io/guide/predictions.html (tasks with predictions), https://labelstud.io/tags/choices.html
(the interface), https://labelstud.io/guide/storage.html#Local-storage (images in a folder of the server's machine).
"""

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from winnow.export.judged import Judged
from winnow.pipeline.messages import UserError, shown
from winnow.verdicts.ledger import DROP, KEEP

TASKS, INTERFACE = "tasks.json", "interface.xml"
LOCAL_FILES = "/data/local-files/?d=data/"  # of a Label Studio server whose document root is the folder of tasks.json
LABEL, ACTION, IMAGE = "label", "action", "image"  # names in the interface

LABEL_STUDIO = {  # key of a task in tasks.json: meaning
    "data.image": "address of the image",
    "data.winnow_id": "id of the image; decisions are read by it",
    "data.name": "path inside the source",
    "data.split": "train or val",
    "data.given_label": "class as delivered",
    "data.winnow_action": "what Winnow did: keep, drop or relabel",
    "data.winnow_reason": "why; empty where the image was kept as delivered",
    "data.label_quality": "of the class as delivered, in [0, 1], lower is worse; null where it was not measured",
    "data.pixel_hash": "of the picture, so that a decision on one that changed since is noticed",
    "predictions": "of `winnow`: class now, or `drop`; of `ensemble`, where it is known: the likeliest class, out of "
    "fold. Each has `model_version`, `score` and `result`, whose `choices` are for `label` or `action`",
}


def interface(classes: Sequence[str]) -> bytes:
    """interface.xml: the labelling interface, one choice among the classes, and a choice to drop the image.

    Raises:
        UserError: a class has a name that XML cannot have.
    """
    for name in classes:
        if not name.isprintable():
            raise UserError(
                f"class {shown(name)} has characters that Label Studio cannot read; rename it in the source"
            )
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=IMAGE, value="$image")
    labels = ElementTree.SubElement(view, "Choices", name=LABEL, toName=IMAGE, choice="single", showInLine="true")
    for name in classes:
        ElementTree.SubElement(labels, "Choice", _choice(name, classes))
    actions = ElementTree.SubElement(view, "Choices", name=ACTION, toName=IMAGE, choice="multiple", showInLine="true")
    ElementTree.SubElement(
        actions, "Choice", value=DROP, hint="shows none of the classes, or must go for another cause"
    )
    ElementTree.SubElement(view, "Header", size="4", value="$winnow_reason")
    ElementTree.indent(view)
    text: str = ElementTree.tostring(view, encoding="unicode")
    return (text + "\n").encode()


def _choice(name: str, classes: Sequence[str]) -> dict[str, str]:
    """The attributes of a class's choice: Label Studio would put a task's data in the place of ``$5`` in a value."""
    if "$" not in name:
        return {"value": name}
    value = name.replace("$", "_")
    while value in classes:
        value += "_"
    return {"value": value, "alias": name, "html": html.escape(name)}  # it exports the alias


def tasks(images: Sequence[Judged], prefix: str) -> list[dict[str, Any]]:
    """tasks.json.

    Args:
        images: to be looked at.
        prefix: of their addresses, before the path of the file.
    """
    return [_task(one, prefix) for one in images]


def address(prefix: str, file: str) -> str:
    """Of an image: the prefix is a folder, whether it ends in a slash or not, or a query such as ``?d=data/``."""
    return prefix + ("" if prefix.endswith(("/", "=")) else "/") + quote(file)


def _task(one: Judged, prefix: str) -> dict[str, Any]:
    data = {
        "image": address(prefix, one.file),
        "winnow_id": one.id,
        "name": one.name,
        "split": one.split,
        "given_label": one.given,
        "winnow_action": one.action,
        "winnow_reason": one.reason,
        "label_quality": one.quality,
        "pixel_hash": one.pixel_hash,
    }
    control, choice = (ACTION, DROP) if one.label is None else (LABEL, one.label)
    # A score is a prediction's confidence; that of another label than the one delivered was not measured.
    score = one.quality if one.action == KEEP else None
    predictions = [_prediction("winnow", one.id, control, choice, score)]
    if one.predicted is not None:
        predictions.append(_prediction("ensemble", one.id, LABEL, one.predicted, one.confidence))
    return {"data": data, "predictions": predictions}


def _prediction(model: str, identifier: str, control: str, choice: str, score: float | None) -> dict[str, Any]:
    result = {
        "id": f"{model}-{identifier}",  # every result of a project has another
        "type": "choices",
        "from_name": control,
        "to_name": IMAGE,
        "value": {"choices": [choice]},
    }
    return {"model_version": model, **({} if score is None else {"score": score}), "result": [result]}
