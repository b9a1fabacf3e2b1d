"""The one kind of error that is meant to be read by people."""


class CoreheadError(ValueError):
    """A problem that the reader can fix: one sentence saying what is wrong, where, and what to do.

    `corehead` prints the sentence alone, without a traceback, and exits with status 1.
    """
