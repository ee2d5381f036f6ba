"""Who may stand in for whom (ADR 0009): services that qualify by an accreditation, people that act by a mandate."""

from dataclasses import dataclass

from sqlalchemy import Engine

from consent.ledger.accounts import AccountStore
from consent.ledger.accreditations import AccreditationStore
from consent.ledger.grants import GrantStore
from consent.ledger.mandates import MandateStore
from consent.service.accrediting import Accrediting
from consent.service.asking import Asking
from consent.service.catalogue import Catalogue
from consent.service.credentials import Credentials
from consent.service.delegated import Delegated
from consent.service.duties import Duties
from consent.service.granting import Granting
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.reading import Reading
from consent.service.representing import Representing
from consent.service.withdrawing import Withdrawing
from identity.keys.keyed_hash import KeyedHash


@dataclass(frozen=True, slots=True)
class Standing:
    credentials: Credentials
    accrediting: Accrediting
    representing: Representing
    delegated: Delegated


def open_standing(
    operator: Operator,
    *,
    engine: Engine,
    credentials: Credentials,
    accounts: AccountStore,
    grants: GrantStore,
    parties: Parties,
    catalogue: Catalogue,
    claim_hash: KeyedHash,
    reading: Reading,
    asking: Asking,
    granting: Granting,
    withdrawing: Withdrawing,
    duties: Duties,
) -> Standing:
    representing = Representing(
        operator,
        store=MandateStore(engine),
        accounts=accounts,
        parties=parties,
        claim_hash=claim_hash,
        check_mandate=credentials.check_mandate,
        check_status=credentials.check_status,
    )
    return Standing(
        credentials=credentials,
        accrediting=Accrediting(
            operator,
            store=AccreditationStore(engine),
            parties=parties,
            verify=credentials.verify_accreditation,
            check_status=credentials.check_status,
        ),
        representing=representing,
        delegated=Delegated(
            representing,
            grants=grants,
            catalogue=catalogue,
            reading=reading,
            asking=asking,
            granting=granting,
            withdrawing=withdrawing,
            duties=duties,
        ),
    )
