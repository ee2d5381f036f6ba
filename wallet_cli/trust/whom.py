"""Whom this wallet believes, asked once a command: the list is fetched at most once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from identity.clock import Clock
from identity.errors import TrustError
from identity.trust.issuer_metadata import IssuerMetadata, metadata_url
from identity.trust.issuers import IssuerTrust, TrustedIssuer
from identity.trust.registry import Party, VerifiedRegistry
from wallet_cli.consents.parties import Parties
from wallet_cli.errors import ConsentRefused, OfferError, WalletError
from wallet_cli.network import Network
from wallet_cli.store import trust
from wallet_cli.trust import signed_list

if TYPE_CHECKING:
    from identity.keys.public_key import PublicKey
    from wallet_cli.store.database import Store


class Trust:
    def __init__(self, store: "Store", network: Network, clock: Clock, *, sandbox: bool) -> None:
        self._store = store
        self._network = network
        self._clock = clock
        self._sandbox = sandbox
        self._list: VerifiedRegistry | None = None
        self._asked = False
        self._issuers: IssuerTrust | None = None
        self.unlisted: set[str] = set()
        """Issuers that were believed under an anchor that stands in for the list."""

    @property
    def now(self) -> int:
        return int(self._clock())

    def anchors(self, use: trust.Use) -> list[bytes]:
        return trust.anchors(self._store, use)

    def list(self) -> VerifiedRegistry | None:
        """None where this wallet has none. Raises WalletError where it has one that cannot be believed."""
        if not self._asked:
            try:
                self._list = signed_list.current(self._network, self._store, now=self.now)
            except TrustError as fault:
                raise WalletError("registry_refused", str(fault)) from None
            self._asked = True
        return self._list

    def parties(self) -> Parties:
        """For consents, which always need the list. Raises ConsentRefused."""
        found = self.list()
        if found is None:
            raise ConsentRefused("registry_missing", "registry: none was added")
        return Parties(found, self.now)

    def doors(self) -> Parties:
        """For withdrawals: where the list can no longer be believed, what it said last. Raises ConsentRefused."""
        try:
            return self.parties()
        except WalletError as fault:
            if fault.code != "registry_refused":
                raise
            old = signed_list.last_known(self._store)
            if old is None:
                raise
            return Parties(old, old.issued)

    def name_of(self, party_id: str) -> Mapping[str, str]:
        """For the screen; empty where the list does not know the party today."""
        try:
            found = self.list()
            return {} if found is None else found.party(party_id, now=self.now).name
        except (TrustError, WalletError):
            return {}

    def offered_by(self, credential_issuer: str) -> Party | None:
        """Whether to begin at all with an issuer: its entry, or None where something else speaks for it.

        Raises OfferError before it is asked anything.
        """
        listed = self.list()
        try:
            if listed is not None:
                return listed.by_issuer(credential_issuer, now=self.now)
        except TrustError:
            pass
        if credential_issuer in trust.issuers(self._store):
            return None
        if self._sandbox and self.anchors("issuer"):
            self.unlisted.add(credential_issuer)
            return None
        raise OfferError("unknown_issuer", "offer: from an issuer that neither the list nor this wallet knows")

    def issuer_key(self, header: Mapping[str, Any], iss: str, vct: str) -> "PublicKey":
        """An `IssuerKey` of `identity.formats.sd_jwt_vc.verify`. Raises TrustError."""
        found = self._decide(header, iss, vct)
        if not found.is_listed and found.chain is not None:
            self.unlisted.add(iss)
        return found.key

    def _decide(self, header: Mapping[str, Any], iss: str, vct: str) -> TrustedIssuer:
        if self._issuers is None:
            known = trust.issuers(self._store)
            self._issuers = IssuerTrust(
                self._required_list,
                self.anchors("issuer"),
                self._clock,
                metadata=IssuerMetadata(self._network.fetcher(self._is_key_address), self._clock),
                known=known,
                anchors_stand_in=self._sandbox,
            )
        return self._issuers.decide(header, iss, vct)

    def _required_list(self) -> VerifiedRegistry:
        found = self.list()
        if found is None:
            raise TrustError("registry: none was added")
        return found

    def _is_key_address(self, url: str) -> bool:
        """Only issuers that somebody decided to trust are asked for their keys."""
        listed = self.list()
        issuers = [*trust.issuers(self._store), *(() if listed is None else (one.issuer for one in listed.parties))]
        return url in {metadata_url(issuer) for issuer in issuers if issuer}
