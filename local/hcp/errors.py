"""Answers that are errors, as JSON:API has them."""

from __future__ import annotations


class ApiError(Exception):
    def __init__(self, status: int, title: str, detail: str = "", pointer: str = "") -> None:
        super().__init__(detail or title)
        self.status = status
        error = {"status": str(status), "title": title}
        if detail:
            error["detail"] = detail
        self.body: dict[str, object] = {
            "errors": [error | ({"source": {"pointer": pointer}} if pointer else {})]
        }


def not_found() -> ApiError:
    """Also what may not be seen: that it exists is not revealed."""
    return ApiError(404, "not found")


def conflict(detail: str) -> ApiError:
    return ApiError(409, "conflict", detail)


def invalid(detail: str, attribute: str = "") -> ApiError:
    pointer = f"/data/attributes/{attribute}" if attribute else ""
    return ApiError(422, "invalid attribute", detail, pointer)
