"""A process of its own that pushes people into a database which another one pushes into as well.

`python -m tests.support.push_child URL NAME ATTRIBUTE COUNT`: creates COUNT people of its own, gives the shared person
COUNT values of one attribute, and tries to create COUNT people whom the other process tries to create, too. Prints how
many of these it created.
"""

import sys

from tests.support.pushing import make_user, open_company

SHARED = "shared@x.example"


def run(url: str, name: str, attribute: str, count: int) -> int:
    """Push all of it. Returns how many people were created whom the other process could have created."""
    company = open_company(url, has_tables=True)
    directory = company.directory
    with company.worker.store.pushed_people.read() as rows:
        (shared,) = rows.find_people(user_name=SHARED)
    directory.ids[SHARED] = shared.id
    created = 0
    for number in range(count):
        assert directory.create(make_user(f"{name}{number}@x.example")).status_code == 201
        operation = {"op": "replace", "path": attribute, "value": f"{name}{number}"}
        assert directory.patch(SHARED, operation).status_code == 200
        answer = directory.create(make_user(f"both{number}@x.example"))
        assert answer.status_code in (201, 409), answer.text
        created += answer.status_code == 201
    company.close()
    return created


if __name__ == "__main__":
    sys.stdout.write(str(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))
