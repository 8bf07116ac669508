"""Pages: what a manager, a report and the operator do in a browser after they follow a link.

`app` assembles them, `site` holds what every page needs, `logins` logs a person in by a link. Everything that changes
stored state goes through `worker.engine.actions` or `worker.engine.contracts`.
"""
