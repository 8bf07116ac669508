"""The confirmations that a page shows after a form was handled, and the texts of pages that consist of a notice."""

from worker.domain.reason_texts import N_

#: The confirmation by its name, the value of the URL parameter `said`, which is set after a form was handled. A comment
#: says what the person did, where the confirmation does not tell.
CONFIRMATIONS = {
    # a contract, its draft, and its commitments
    "kept": N_("Your draft is kept. You can close this page and come back to it."),
    "dropped": N_("The draft is gone."),
    "sent": N_("Recorded. Both of you get it by mail within minutes."),
    "done": N_("Done. Well kept."),
    "changed": N_("Changed. Both of you get the new version by mail."),
    "same": N_("It says so already. Nothing was changed, and nobody gets a mail."),
    "let-go": N_("Let go. Both of you get the new version by mail."),
    # whether the two met
    "not-met": N_("Noted. The conversation is owed and gets a new time by itself."),
    "not-met-before": N_("That is recorded already: you did not meet. Nothing else was changed."),
    "met": N_("Noted. It took place."),
    # on the page about the time of a session
    "moved": N_("Taken. Both calendars show it within a minute."),
    "stays": N_("Good: it stays at this time."),
    # the report wrote why the session lost its time, sent the same reason again, or deleted the reason
    "explained": N_("Kept. Your manager gets it by mail, in working hours; nobody else reads it."),
    "explained-before": N_("It says so already. Nothing was changed."),
    "unexplained": N_("It is gone. A mail that has gone out stays with whoever got it."),
    # one of the two left the session until the next cycle, which the page offers after repeated moves (T-11)
    "left-out": N_("Left until the next quarter. Both calendars show it within a minute."),
    # an ad hoc session or a check-in was requested
    "talk": N_("Asked for. It gets a time within minutes, on both calendars."),
    # the report chose one long session, or a series of three
    "format": N_("Your choice is kept."),
    # a note about a conversation was written, or deleted
    "noted": N_("It stands here for both of you, and in the next brief."),
    "unnoted": N_("There is no note of yours about it now."),
    # the report chose which lines to pass on to the new manager
    "handover": N_("Kept. These lines go on, and no others."),
    # a former manager decided about a promise to a former report: still intends to keep it, suggests that the report
    # pass it on to the new manager, lets it go, or has kept it
    "promise-keep": N_("Good. It stays yours."),
    "promise-offer": N_("Suggested. Whether it goes on is decided by the person you promised it to."),
    "promise-end": N_("It has ended. The person you promised it to sees that on their page."),
    "promise-done": N_("Done. Well kept."),
    # the report asked a third voice a question, or erased the question
    "asked": N_("Asked. One mail goes out, in working hours."),
    "erased": N_("Gone, the question and any answer with it."),
    # the manager chose whether briefs contain the hardest questions, which need trust between the two
    "trust": N_("Kept. It counts from the next brief."),
    # the manager wrote, or withdrew, a sentence about their own learning for all reports
    "learning": N_("Kept. It goes into the next note to each of them, once."),
    "no-learning": N_("Withdrawn. What has gone out already stays with whoever got it."),
    # the pages of the operator and of people-ops: everybody or a group was paused or resumed, the openings file was
    # edited, a suspended calendar is tried again
    "paused": N_("Paused. Calendars follow within a minute, while “longarc run” is running."),
    "resumed": N_("Resumed. Times follow within a minute, while “longarc run” is running."),
    "openings": N_("Done. It counts from the next brief, and on the pages of reports at once."),
    "retried": N_("It is tried again within a minute, while “longarc run” is running."),
    # the manager set or ended a time of change for the report, in which the two meet more often
    "transition": N_("Kept. The rhythm follows it."),
}

#: The title and text of each page that consists of a notice.
NOTICES = {
    "needs-link": (
        N_("Please come by the link in your mail"),
        N_("This page opens by the link in a mail from Longarc, and stays open for some hours. Follow the link again."),
    ),
    "not_found": (
        N_("There is nothing here"),
        N_("The address may be incomplete. Follow the link in your mail once more, or copy it whole."),
    ),
    #: a link that has expired, or that was revoked because its owner asked for that
    "gone": (
        N_("This link is no longer valid"),
        N_("Links end after a while, or when you ask for it. The next mail about your conversations brings a new one."),
    ),
    "voice-closed": (
        N_("This question is closed"),
        N_("It can be answered once, within 30 days. Thank you for coming by all the same."),
    ),
    "renewed": (
        N_("A new link is on its way"),
        N_("It comes by mail within minutes, to the address that the old one was sent to."),
    ),
    "refused": (
        N_("That could not be done"),
        N_("Nothing was changed. Perhaps something is different since you opened the page: go back and load it again."),
    ),
    #: a refusal whose reason follows the notice
    "explained": (N_("That could not be done"), N_("Nothing was changed.")),
    "busy": (
        N_("One moment"),
        N_("Your calendars are being worked on just now. Nothing was changed. Please try again in a moment."),
    ),
    "too_large": (
        N_("That is too much at once"),
        N_("Nothing was changed. A contract is short: keep what was agreed."),
    ),
    "too_many": (N_("That is a lot of requests"), N_("Please wait a minute, then try again.")),
    "broken": (
        N_("Something went wrong here"),
        N_("Nothing was changed. The one who looks after Longarc where you work can see that it happened."),
    ),
    #: the person has revoked all their own links and logins, such as after a link went to somebody else
    "links-revoked": (
        N_("All your links are void now"),
        N_("Every link you had and every page you left open has ended. The next mail brings a new one."),
    ),
    #: the front page, for somebody who is not signed in
    "front": (
        N_("Please come by the link in your mail"),
        N_("Your own pages open by the links in your mails. Those who look after Longarc sign in here."),
    ),
    "signed-in": (N_("You are signed in"), N_("Your own pages open by the links in your mails.")),
    #: an answer of the company's sign-in for which this browser has no sign-in in progress
    "sign-in-over": (
        N_("This sign-in is no longer valid"),
        N_("It took too long, or it began in another browser. Nothing was changed."),
    ),
    "sign-in-refused": (
        N_("You could not be signed in"),
        N_("Your company’s sign-in did not say who you are. Nothing was changed."),
    ),
    #: the company's sign-in names nobody whom Longarc can accept: no mail address, an unverified one, or one of another
    #: company. The reason follows the notice.
    "sign-in-unidentified": (
        N_("You could not be signed in"),
        N_("The one who looks after Longarc where you work can see that it happened."),
    ),
    "sign-in-outage": (
        N_("Nobody can sign in just now"),
        N_("Your company’s sign-in can’t be reached. Nothing was changed. Please try again in a few minutes."),
    ),
    #: a page for a role that the person who signed in does not have
    "role-missing": (N_("This page is not open to you"), N_("Nothing was changed.")),
    #: a link of another person than the one who signed in
    "other-person": (
        N_("This link is somebody else’s"),
        N_("It opens only for the person it was sent to. If that is you, sign in with that account."),
    ),
    #: a form that was sent after the sign-in had ended
    "signed-out": (
        N_("You are no longer signed in"),
        N_("Nothing was changed. Go back, load the page again, and sign in."),
    ),
    #: the person has just signed out
    "sign-out": (N_("You are signed out"), N_("In every browser. The links in your mails stay valid.")),
}
