"""The storage of the SCIM server: pushed people in the store, read and written in one transaction for each request."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from scim2_models import (
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison, LogicalExpr, LogicalOperator
from scim2_server.storage import ScimStorage, SearchPage

from worker.domain.model import PushedPerson
from worker.store.pushed_people import PushedPeople, PushedRows, UserNameTaken
from worker.web.scim.schema import EnterpriseUser, PushedUser, User

#: The fields of a SCIM resource that are stored in columns of their own, or not stored.
_OWN_FIELDS = ("schemas", "id", "externalId", "userName", "meta")


class PushedUsers(ScimStorage):
    """The pushed people, for one request at `now`. They can be read and written only inside `operation`."""

    _rows: PushedRows  #: the rows in the transaction of this request

    def __init__(self, people: PushedPeople, now: datetime, *, is_writing: bool) -> None:
        self._people = people
        self._now = now
        self._is_writing = is_writing

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Run the request in a transaction, which is rolled back when an error is raised."""
        with self._people.write() if self._is_writing else self._people.read() as rows:
            self._rows = rows
            yield

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        return build_user(self._get_person(resource_id))

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        first, limit = search_request.start_index_0 or 0, search_request.count
        if not search_request.filter:
            people = self._rows.list_people(first, limit) if limit != 0 else ()  # 0: only the total is asked for
            return SearchPage(self._rows.count_people(), [build_user(person) for person in people])
        users = [build_user(person) for person in self._find_candidates(search_request.filter.ast)]
        matching = [user for user in users if search_request.filter.match(user)]
        return SearchPage(len(matching), matching[first:] if limit is None else matching[first : first + limit])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        person = PushedPerson(
            **_dump_user(resource), id=uuid4().hex, created_at=self._now, changed_at=self._now, revision=1
        )
        with _translate_taken_names():
            self._rows.add_person(person)
        return build_user(person)

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        stored = self._get_person_of_version(str(resource.id), expected_version)
        person = PushedPerson(
            **_dump_user(resource),
            id=stored.id,
            created_at=stored.created_at,
            # not before the last change, which another process with a clock ahead of ours may have stored
            changed_at=max(self._now, stored.changed_at),
            revision=stored.revision + 1,
        )
        with _translate_taken_names():
            self._rows.replace_person(person)
        return build_user(person)

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        self._rows.delete_person(self._get_person_of_version(resource_id, expected_version).id, self._now)

    def _get_person(self, person_id: str) -> PushedPerson:
        person = self._rows.get_person(person_id)
        if person is None:
            raise NotFoundException(detail="There is no person with this id.")
        return person

    def _get_person_of_version(self, person_id: str, expected_version: str | None) -> PushedPerson:
        """Return the person. Raises PreconditionFailedException when `expected_version` is not the stored version."""
        person = self._get_person(person_id)
        if expected_version not in (None, _format_version(person)):
            raise PreconditionFailedException
        return person

    def _find_candidates(self, node: Any) -> list[PushedPerson]:
        """Return the people whom a filter can match: those found by an index, or otherwise everybody.

        An index is used when the filter asks for one id, user name or external id, as directories do before each push.
        `node` is the root of the filter's syntax tree.
        """
        is_conjunction = isinstance(node, LogicalExpr) and node.op is LogicalOperator.and_
        for term in node.terms if is_conjunction else (node,):
            if not isinstance(term, Comparison) or term.op is not CompareOperator.eq or not isinstance(term.value, str):
                continue
            name = str(term.attr_path).rpartition(":")[2].casefold()
            if name == "id":
                person = self._rows.get_person(term.value)
                return [person] if person else []
            if name == "username" and term.value:
                return list(self._rows.find_people(user_name=term.value))
            if name == "externalid" and term.value:
                return list(self._rows.find_people(external_id=term.value))
        return list(self._rows.list_people())


@contextmanager
def _translate_taken_names() -> Iterator[None]:
    """Raise UniquenessException in place of UserNameTaken. The transaction can't continue after either error."""
    try:
        yield
    except UserNameTaken:
        raise UniquenessException(detail="Another person has this userName.") from None


def build_user(person: PushedPerson) -> Resource[Any]:
    """Return a stored person as a SCIM resource."""
    schemas = [str(User.__schema__)]
    if EnterpriseUser.__schema__ in person.attributes:
        schemas.append(str(EnterpriseUser.__schema__))
    meta = {
        "resourceType": "User",
        "created": person.created_at.isoformat(),
        "lastModified": person.changed_at.isoformat(),
        "version": _format_version(person),
    }
    values = {**person.attributes, "schemas": schemas, "id": person.id, "userName": person.user_name, "meta": meta}
    if person.external_id:
        values["externalId"] = person.external_id
    return PushedUser.model_validate(values)


def _dump_user(user: Resource[Any]) -> dict[str, Any]:
    """Return the fields of PushedPerson that a SCIM resource sets. Raises InvalidValueException."""
    values = user.model_dump()
    user_name = str(values.get("userName") or "").strip()
    if not user_name:
        raise InvalidValueException(detail="userName is empty.")
    return {
        "user_name": user_name,
        "external_id": str(values.get("externalId") or ""),
        "attributes": {name: value for name, value in values.items() if name not in _OWN_FIELDS},
    }


def _format_version(person: PushedPerson) -> str:
    return f'W/"{person.revision}"'
