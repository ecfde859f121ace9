"""What can go wrong, by what to do about it.

LentaError
 |- Refused           a 4xx: the same call again is refused again
 |   |- InvalidParameter   422, or a value that is not even sent; names the field
 |   |- Unauthorized       401: the key is missing or wrong
 |   |- Forbidden          403: the key may not do this
 |   `- NotFound           404
 |- Unavailable       no answer, 429, 502, 503, 504: the same call may succeed later; it was tried until patience ended
 |- ServerError       any other 5xx, or an answer that is none of the gateway's
 `- OutboxFull        so many events wait to be sent that no more are taken
"""

from __future__ import annotations


class LentaError(Exception):
    """field: at fault, as the gateway names it. request_id: finds the call in the gateway's log. retry_after: seconds
    that the gateway asks to wait, if it said so."""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.field, self.request_id, self.retry_after = field, request_id, retry_after


class Refused(LentaError):
    pass


class InvalidParameter(Refused):
    pass


class Unauthorized(Refused):
    pass


class Forbidden(Refused):
    pass


class NotFound(Refused):
    pass


class Unavailable(LentaError):
    pass


class ServerError(LentaError):
    pass


class OutboxFull(LentaError):
    pass


OF_STATUS: dict[int, type[Refused]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 422: InvalidParameter}
LATER = (429, 502, 503, 504)
