"""The error tree of ``wallet_cli``.

    WalletError            everything the wallet refuses by itself; has a code
     ├── UsageFault        the command line asks for something that does not exist (exit code 2)
     ├── StoreError        the encrypted store: missing, locked, wrong passphrase, damaged
     ├── NetworkError      a party cannot be reached, or answers what it must not
     ├── CardRefused       the card, its PIN or its challenge
     ├── OfferError        an issuer's offer or answer is refused
     ├── RequestRefused    a request for data is refused before anything is sent
     ├── ConsentRefused    a consent request, answer or proof is refused
     └── Declined          the person said no

``code`` is what ``--json`` prints as ``error``, and names the sentence of the language catalogues
(``error.CODE``). The message names the thing, what was found and what was expected; never a
secret, never the value of an attribute.
"""


class WalletError(Exception):
    """Root of what the wallet refuses."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


class UsageFault(WalletError):
    """Arguments that argparse takes but that make no sense together."""


class StoreError(WalletError):
    """The store cannot be opened or created."""


class NetworkError(WalletError):
    """A party cannot be reached or its answer breaks HTTP or our limits."""


class CardRefused(WalletError):
    """A card cannot be used, or a challenge must not be signed."""


class OfferError(WalletError):
    """An offer, an issuer's metadata or its answer is refused."""


class RequestRefused(WalletError):
    """A request for data is refused; nothing was sent."""


class ConsentRefused(WalletError):
    """A consent request, an answer about consents or a proof is refused."""


class Declined(WalletError):
    """The person said no."""
