r"""Windows accounts: one spelling of each, and what kind of account it is.

Logs spell one account as ``CORP\ann``, ``corp.example.org\Ann`` and ``ann@corp.example.org``, and
Windows' own accounts by their names in the language of the system or by their SIDs.
``account_name`` gives one spelling for all: the first label of the domain and the name, in lower
case. The first label of a DNS domain is its NetBIOS name wherever nobody chose another one; where
somebody did, the two stay apart. The SID of a person says no name, and stays what it is.

Sources: https://learn.microsoft.com/windows-server/identity/ad-ds/manage/understand-security-identifiers
(well-known SIDs) and
https://learn.microsoft.com/sql/database-engine/configure-windows/configure-windows-service-accounts-and-permissions
(the names of service accounts in other languages, "Localized service names").
"""

from __future__ import annotations

import re

from .pattern import fold

_SID = re.compile(r"s-1-[0-9]{1,15}(?:-[0-9]{1,10}){0,15}")
_NUMBERED = re.compile(r"(dwm|umfd)-[0-9]{1,6}")
_SYSTEM, _LOCAL, _NETWORK = "system", "local service", "network service"
_AUTHORITY = "nt authority"
_ANONYMOUS = "anonymous logon"

_AUTHORITIES = frozenset({_AUTHORITY, "nt-autorität", "nt-autoritaet", "autorite nt"})
# English, German, French, Italian, Spanish.
_NAMES = {
    _SYSTEM: _SYSTEM,
    "système": _SYSTEM,
    _LOCAL: _LOCAL,
    "localservice": _LOCAL,
    "lokaler dienst": _LOCAL,
    "service local": _LOCAL,
    "servizio locale": _LOCAL,
    "servicio loc": _LOCAL,
    _NETWORK: _NETWORK,
    "networkservice": _NETWORK,
    "netzwerkdienst": _NETWORK,
    "service réseau": _NETWORK,
    "servizio di rete": _NETWORK,
    "servicio de red": _NETWORK,
    _ANONYMOUS: _ANONYMOUS,
    "anonymous-anmeldung": _ANONYMOUS,
    "iusr": "iusr",
}
_SIDS = {
    "s-1-5-7": _ANONYMOUS,
    "s-1-5-17": "iusr",
    "s-1-5-18": _SYSTEM,
    "s-1-5-19": _LOCAL,
    "s-1-5-20": _NETWORK,
}
_MANAGED = ("nt service", "iis apppool", "nt virtual machine", "window manager", "font driver host")
# Services, application pools, virtual machines, window managers, font drivers.
_MANAGED_SIDS = ("s-1-5-80-", "s-1-5-82-", "s-1-5-83-", "s-1-5-90-", "s-1-5-96-")
# Of so many characters no name is.
_LONGEST = 1_024


def account_name(user: str | None, domain: str | None = None) -> str | None:
    r"""One spelling of an account; ``domain`` is its domain where the name has none.

    >>> account_name("THESHIRE.LOCAL\\Ann"), account_name("ann@theshire.local")
    ('theshire\\ann', 'theshire\\ann')
    >>> account_name("S-1-5-18"), account_name("NT-AUTORITÄT\\Lokaler Dienst")
    ('nt authority\\system', 'nt authority\\local service')
    """
    realm, name = _parts(user, domain)
    if not name:
        return None
    known = _SIDS.get(name) or _windows_own(name)
    if known is not None:
        return f"{_AUTHORITY}\\{known}"
    if _SID.fullmatch(name) or not realm:
        return name
    return f"{realm}\\{name}"


def account_type(user: str | None, sid: str | None = None) -> str | None:
    r"""What kind of account it is: ``user``, ``machine`` (its name ends with ``$``, as a managed
    service account's does), ``service`` (Windows' own: SYSTEM, LOCAL SERVICE, NETWORK SERVICE, the
    window manager's, those of services and application pools), or ``anonymous``.

    >>> [account_type(name) for name in ("CORP\\ann", "CORP\\WS1$", "DWM-1", "ANONYMOUS LOGON")]
    ['user', 'machine', 'service', 'anonymous']
    """
    realm, name = _parts(user, None)
    number = fold(sid.strip()) if sid is not None and len(sid) < _LONGEST else ""
    for one in (name, number):
        if _SIDS.get(one) == _ANONYMOUS:
            return "anonymous"
        if one in _SIDS or one.startswith(_MANAGED_SIDS):
            return "service"
    if not name:
        return None
    known = _windows_own(name)
    if known is not None:
        return "anonymous" if known == _ANONYMOUS else "service"
    if realm in _MANAGED or (not realm and _NUMBERED.fullmatch(name)):
        return "service"
    return "machine" if name.endswith("$") else "user"


def _windows_own(name: str) -> str | None:
    """The English name of an account that every Windows has, if this is one.

    Nobody can give these names to an account of his own, in whatever domain a log has put them.
    """
    return _NAMES.get(name)


def _parts(user: str | None, domain: str | None) -> tuple[str, str]:
    """The domain, without what follows its first label, and the name, both in lower case."""
    if user is None or len(user) > _LONGEST:
        return "", ""
    text = fold(user.strip())
    realm, slash, name = text.rpartition("\\")
    if not slash:
        name, at, realm = text.partition("@")
        if not (at and name and realm):
            name, realm = text, fold((domain or "").strip())
    if realm in _AUTHORITIES or realm in _MANAGED:
        return realm, name.strip()
    label = realm.partition(".")[0] if realm.strip("0123456789.") else realm
    return label.strip(), name.strip()
