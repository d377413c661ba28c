"""What a camera is called in records, pages and messages: its address without secrets."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"[?#].*$", re.DOTALL)
_SECRET_IN_PATH = re.compile(
    r"(?i)((?:user(?:name)?|login|pass(?:word|wd)?|pwd|psw|token|key|auth|secret)[=:])[^/&_;]*"
)


def without_secrets(address: str) -> str:
    """A web address without user, password, query and fragment; secrets that stand in its path become `***`.

    Some cameras want the password in the path (`rtsp://10.0.0.7/user=admin_password=x_channel=1`).
    """
    return _SECRET_IN_PATH.sub(r"\1***", _QUERY.sub("", _USER.sub("", address)))
