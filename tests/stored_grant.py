"""A grant that is there without having been asked for, for tests of what comes after."""

from consent.ledger.grant_row import INSERT_BODY, INSERT_ROW, GrantBody, HotRow, body_parameters, row_parameters
from consent.ledger.statements import Statements


def insert_grant(connection: Statements, row: HotRow, body: GrantBody) -> None:
    connection.execute(INSERT_ROW, row_parameters(row))
    connection.execute(INSERT_BODY, body_parameters(row.grant_id, body))
