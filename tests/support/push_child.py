"""A process that pushes people into a database into which another such process pushes at the same time.

`python -m tests.support.push_child URL NAME ATTRIBUTE COUNT` creates COUNT people with addresses of its own, sets an
attribute of the shared person COUNT times, and tries to create COUNT people whom the other process tries to create as
well. It prints how many of these it created.
"""

import sys

from tests.support.pushing import make_user, open_company

SHARED = "shared@x.example"


def run(url: str, name: str, attribute: str, count: int) -> int:
    """Push everything. Return how many of the people whom both processes try to create were created here."""
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
