"""The web pages, which managers and reports open by links in mails, and operators and people-ops by signing in.

`app` builds the WSGI application, `site` holds the objects that every page needs, and `logins` exchanges a link for a
cookie. Changes to sessions and contracts go through `worker.engine.actions` and `worker.engine.contracts`.
"""
