"""Who a browser is, for class mode: a name that nobody else can see or claim, without any login."""

from __future__ import annotations

import hashlib
import uuid
from itertools import cycle

import streamlit as st

COOKIE = "_streamlit_xsrf"


def owner() -> str:
    """A digest of the browser's secret: the same in each of its tabs and after a reload, until the browser is closed.

    A browser without the cookie is somebody new in each session.
    """
    cookie = st.context.cookies.get(COOKIE)
    secret = unmask(cookie) if isinstance(cookie, str) else ""
    secret = secret or st.session_state.setdefault("visitor.secret", uuid.uuid4().hex)
    return hashlib.blake2b(secret.encode(), digest_size=9).hexdigest()


def unmask(cookie: str) -> str:
    """The token inside the server's cookie against forged requests, which hides it under a new mask in each answer.

    >>> unmask("2|00ff00ff|01020304|1795469214") == unmask("2|ff00ff00|fefdfcfb|1795469999") == "01fd03fb"
    True
    >>> unmask("nonsense"), unmask("2|00|zz|0")
    ('', '')
    """
    parts = cookie.split("|")
    if len(parts) != 4:
        return ""
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except ValueError:
        return ""
    return bytes(sign ^ key for sign, key in zip(masked, cycle(mask), strict=False)).hex()
