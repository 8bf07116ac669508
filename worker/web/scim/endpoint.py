"""Handles the SCIM requests of directories: checks the token and the rate, and converts errors to SCIM responses.

The library `scim2_server` implements the protocol, and `PushedUsers` stores the people. Of a request, only the method
and the status are logged.
"""

import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from scim2_models import (
    Error,
    InvalidFilterException,
    ListResponse,
    NotFoundException,
    NotImplementedException,
    PayloadTooLargeException,
    Resource,
    ResponseParameters,
    SCIMException,
    UnauthorizedException,
)
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService
from werkzeug.exceptions import RequestEntityTooLarge

from worker.store.database import DatabaseUnreachable
from worker.store.pushed_people import PushedPeople
from worker.web.rate_limit import RateLimiter
from worker.web.scim.dialects import adapt_patch, adapt_user, has_only_storable_characters, parse_body
from worker.web.scim.schema import PushedUser, get_provider
from worker.web.scim.storage import PushedUsers

SCIM_PATH = "/scim/v2"
#: The methods that the endpoint accepts; the library refuses those that a path does not have.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: The longest body, in bytes. A person with every attribute that Entra sends has 4 KB.
MAX_BODY_BYTES = 64 * 1024
#: The longest filter, in characters.
MAX_FILTER = 1000
#: The most requests with a valid token in a minute. Entra may send 25 in a second.
MAX_PER_MINUTE = 6000
#: The most requests without a valid token in a minute, from one network address.
MAX_REFUSED_PER_MINUTE = 30
#: The value of `Retry-After` in responses to requests that should be sent again.
_RETRY_SECONDS = 60
#: A POST to a path that ends with this is a search, which writes nothing.
_SEARCH = "/.search"


class TooManyRequests(SCIMException):
    """The response to a request above the rate limit."""

    status = 429
    _default_detail = "Too many requests. Try again in a minute."


class TemporarilyUnavailable(SCIMException):
    """The response while our database can't be reached."""

    status = 503
    _default_detail = "Nothing was changed. Try again in a minute."


class RosterScimService(ScimService):
    """The protocol, with responses that directories and their administrators understand better."""

    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        """Return the whole person, as for a PUT, so that the directory sees which parts of the change were applied.

        The standard would also allow 204 without a body.
        """
        return self.replacement_response(base_url, resource, response_parameters)

    @staticmethod
    def error_of(exception: Exception) -> Error:
        """Return the error with its text on one line, without the details that pydantic adds for programmers."""
        error = ScimService.error_of(exception)
        lines = [line.strip() for line in (error.detail or "").splitlines()]
        # The lines of pydantic's text: the number of errors, the attribute, and the message with details in brackets.
        if len(lines) > 2:
            error = Error(
                status=error.status,
                scim_type=error.scim_type,
                detail=f"{lines[1]}: {lines[2].partition(' [type=')[0]}",
            )
        return error


class ScimEndpoint:
    """Handles the SCIM requests of directories."""

    def __init__(
        self,
        people: PushedPeople,
        tokens: Sequence[str],
        base_url: str,
        limiter: RateLimiter,
        now: Callable[[], datetime],
        log_error: Callable[[Exception], None],
    ) -> None:
        """`tokens`: a request must have one of these. `base_url`: the base URL of the pages."""
        self._people = people
        self._digests = [sha256(token.encode()).digest() for token in tokens]
        self._base_url = base_url.rstrip("/") + SCIM_PATH
        self._limiter = limiter
        self._now = now
        self._log_error = log_error
        self._service = RosterScimService(get_provider())

    def make_blueprint(self) -> Blueprint:
        """Return the blueprint that handles all paths below `SCIM_PATH`."""
        blueprint = Blueprint("scim", __name__)
        for rule in ("", "/<path:path>"):
            blueprint.add_url_rule(
                rule, "serve", self.serve, methods=METHODS, provide_automatic_options=False, strict_slashes=False
            )
        return blueprint

    def serve(self, path: str = "") -> Response:
        """Return the response to the current request. `path` is relative to `SCIM_PATH`."""
        try:
            self._admit()
            response = self._handle(path)
        except SCIMException as error:
            response = self._service.error_response(error)
        except RequestEntityTooLarge:
            detail = f"The body is longer than {MAX_BODY_BYTES:,} bytes."
            response = self._service.error_response(PayloadTooLargeException(detail=detail))
        except RecursionError:
            detail = "The filter is nested too deeply."
            response = self._service.error_response(InvalidFilterException(detail=detail))
        except DatabaseUnreachable as error:
            self._log_error(error)
            response = self._service.error_response(TemporarilyUnavailable())
        except Exception as error:
            self._log_error(error)
            response = self._service.error_response(error)
        return _to_flask_response(response)

    def _admit(self) -> None:
        """Raise SCIMException for a request without a valid token, or above the rate limit."""
        if not self._has_valid_token():
            if not self._limiter.allow(f"scim refused {request.remote_addr}", MAX_REFUSED_PER_MINUTE):
                raise TooManyRequests
            raise UnauthorizedException(detail="The token is missing, or it is not the one of this server.")
        if not self._limiter.allow("scim", MAX_PER_MINUTE):
            raise TooManyRequests

    def _has_valid_token(self) -> bool:
        """Return whether the request has one of the tokens. Always compares all tokens, in constant time."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest = sha256(token.strip().encode()).digest()
        matches = [hmac.compare_digest(digest, valid_digest) for valid_digest in self._digests]
        return scheme.casefold() == "bearer" and any(matches)

    def _handle(self, path: str) -> ScimResponse:
        """Return the response of the protocol. The request was admitted before."""
        if not has_only_storable_characters(path):
            raise NotFoundException(detail="There is nothing at this path.")
        if path.strip("/").partition("/")[0].casefold() == "groups":
            return _respond_about_groups(path)
        is_writing = request.method in ("POST", "PUT", "PATCH", "DELETE") and not request.path.endswith(_SEARCH)
        storage = PushedUsers(self._people, self._now(), is_writing=is_writing)
        return ScimHandler(self._service, storage).handle(self._read_request(path))

    def _read_request(self, path: str) -> ScimRequest:
        """Return the current request in the library's form. Raises InvalidFilterException."""
        filter_text = request.args.get("filter", "")
        if len(filter_text) > MAX_FILTER or not has_only_storable_characters(filter_text):
            raise InvalidFilterException(detail=f"The filter is longer than {MAX_FILTER} characters, or damaged.")
        request.max_content_length = MAX_BODY_BYTES
        return ScimRequest(
            method=request.method,
            base_url=self._base_url,
            path=f"/{path}",
            query=request.args.to_dict(),
            headers=list(request.headers.items()),
            body=_read_body(),
        )


def _read_body() -> bytes:
    """Return the request's body in the form of the standard; empty when it has none."""
    body = request.get_data(cache=False)
    if not body or request.method not in ("POST", "PUT", "PATCH"):
        return body
    payload = parse_body(body)
    if request.method == "PATCH":
        payload = adapt_patch(payload)
    elif not request.path.endswith(_SEARCH):
        payload = adapt_user(payload)
    return json.dumps(payload).encode()


def _respond_about_groups(path: str) -> ScimResponse:
    """Return an empty list of groups, because some directories list groups first and stop when they get an error.

    Raises SCIMException for any other request about groups.
    """
    if request.method == "GET" and "/" not in path.strip("/"):
        empty = ListResponse[PushedUser](total_results=0, items_per_page=0, start_index=1, resources=[])
        return ScimResponse(HTTPStatus.OK, empty.model_dump())
    if request.method == "GET":
        raise NotFoundException(detail="There are no groups here.")
    raise NotImplementedException(detail="Groups are not supported here. Provision users only.")


def _to_flask_response(scim_response: ScimResponse) -> Response:
    body = b"" if scim_response.body is None else json.dumps(scim_response.body).encode()
    response = Response(body, scim_response.status.value, headers=scim_response.headers)
    if scim_response.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response
