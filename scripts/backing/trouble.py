"""The one error that people see: a sentence that says what is wrong and what to do next."""


class Trouble(Exception):
    """Printed as one line (plus `details`, such as the end of a log), exit code 1."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details
