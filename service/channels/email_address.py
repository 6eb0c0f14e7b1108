"""The only check of mail addresses."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email


def ascii_address(text: str) -> str:
    """
    The address in ASCII, as it is stored and used.

    A domain in other letters has an ASCII form. A name before the @ has none: such an
    address works only where every mail server on the way knows SMTPUTF8 (RFC 6531),
    which shows only when a mail bounces.

    Raises:
        ValueError: no mail can be sent there; the message has the reason and the fix.
    """
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(f"{error} Give an address such as name@example.com.") from None
    return found.ascii_email or found.normalized
