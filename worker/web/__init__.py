"""Pages: what a manager, a report and the operator do in a browser, having come by a link from a mail.

`app` puts them together, `site` is what every page needs, `visits` says who is there and what for. Everything that
changes something goes through `worker.engine.actions`.
"""
