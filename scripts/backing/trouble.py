"""The one error shown to users: a sentence that says what is wrong and what to do next."""


class Trouble(Exception):
    """Printed as one line after its `details`, such as the end of a log; the exit code is 1."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details
