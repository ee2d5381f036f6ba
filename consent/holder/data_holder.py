"""Who a data holder is, and what only it can open."""

from dataclasses import dataclass

from consent.errors import MessageError
from consent.grant.use import open_sealed_subject
from consent.procedure.declaration import DataDeclaration
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import Signer


@dataclass(frozen=True, slots=True)
class DataHolder:
    """Party id, registry key, declared HPKE keys (the present one first), declaration."""

    party: str
    signer: Signer
    hpke_keys: tuple[AgreementPrivateKey, ...]
    declaration: DataDeclaration

    def subject(self, sealed: str, *, service: str, request_id: str) -> str:
        """The value that names the row a request is about. Raises MessageError, which never quotes it."""
        fault = MessageError("expected subject: no key is there to open it")
        for key in self.hpke_keys:
            try:
                subject = open_sealed_subject(key, sealed, service=service, request_id=request_id)
            except MessageError as caught:
                fault = caught
                continue
            value = subject.get(".".join(self.declaration.row_path))
            if len(subject) != 1 or not isinstance(value, str) or not value:
                raise MessageError("expected subject: exactly the declared claim, a text, is expected")
            return value
        raise fault
