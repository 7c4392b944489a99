"""A stranger's address, read as a browser reads it: https://url.spec.whatwg.org, and Chromium where the standard is
silent. It decides nothing: `safe_http` judges what comes out of it, and nothing else is connected to."""

import re
import unicodedata
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

_AROUND = "".join(map(chr, range(0x21)))  # control characters and the space
_NEVER_IN_A_NAME = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|\ufffd]")


def absolute(text: str, *, base: str | None = None) -> str:
    """The address that a link means, on the page `base` or in a record.

    A record stands on no page: `//host/x` is https there, and what names no host is returned as it is.

    Raises:
        ValueError: it cannot be understood.
    """
    text = re.sub(r"[\t\n\r]", "", text.strip(_AROUND))
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", text)  # half a character, which JSON may hold
    address, *more = re.split(r"(?=[?#])", text, maxsplit=1)
    text = "".join([address.replace("\\", "/"), *more])
    base_scheme = urlsplit(base).scheme if base else ""
    named = re.match(r"(https?):(/*)", text, re.IGNORECASE)
    if named and (len(named[2]) > 1 or named[1].lower() != base_scheme):
        text = f"{named[1].lower()}://{text[named.end() :]}"
    elif text.startswith("//"):
        text = f"{base_scheme or 'https'}://{text.lstrip('/')}"
    parts = urlsplit(urljoin(base, text) if base else text)
    # A `%` that encodes nothing would make requests encode every other one a second time.
    path, query = (re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part) for part in (parts.path, parts.query))
    return urlunsplit(parts._replace(netloc=_host(parts.netloc), path=path, query=query))


def _host(netloc: str) -> str:
    if "@" in netloc or "[" in netloc or (netloc.isascii() and "%" not in netloc):
        return netloc
    name, colon, port = netloc.partition(":")
    name = unicodedata.normalize("NFKC", unquote(name, errors="strict")).replace("\u3002", ".").lower()
    if _NEVER_IN_A_NAME.search(name):
        raise ValueError("its host is no name")
    labels = (one if one.isascii() else f"xn--{one.encode('punycode').decode()}" for one in name.split("."))
    return ".".join(labels) + colon + port


def redirected(url: str, location: str) -> str:
    """The address that a `Location` header means in the answer of `url`. Browsers and curl pass on its bytes as they
    are, UTF-8 or not; http.client hands over a character for each.

    Raises:
        ValueError: it cannot be understood.
    """
    return absolute("".join(c if c.isascii() else f"%{ord(c):02X}" for c in location), base=url)
