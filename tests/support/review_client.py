"""What tests ask the review server."""

from typing import Any

from starlette.testclient import TestClient


def items(client: TestClient, task: str = "refine") -> list[dict[str, Any]]:
    """The queue of a task."""
    found: list[dict[str, Any]] = client.get(f"/api/queue?task={task}").json()["items"]
    return found


def post(client: TestClient, identifier: str, action: str, label: str | None = None, task: str = "refine") -> Any:
    """The answer to a decision."""
    body = {"task": task, "id": identifier, "action": action, "label": label, "note": ""}
    return client.post("/api/decisions", json=body)
