"""The statements by which a grant row changes: each names the grant id, each carries its whole condition."""

from sqlalchemy import text

from consent.ledger.grant_row import ROW_COLUMNS

INSERT_ENDING = text(
    "INSERT INTO ending (grant_id, counter, mask, effective_at) VALUES (:grant_id, :counter, :mask, :effective_at)"
)
FORGET_USE_REQUESTS = text("DELETE FROM use_request_seen WHERE expires <= :past")
SPEND_USE_REQUEST = text(
    "INSERT INTO use_request_seen (service, jti, request_hash, expires) "
    "VALUES (:service, :jti, :request_hash, :expires)"
)
# A window of frequency begins with the first use after the last window ended.
USE = text(
    "UPDATE grant_row SET counter = counter + 1, uses = uses + 1, "
    "window_uses = CASE WHEN window_uses > 0 AND :since < window_start + window_seconds "
    "THEN window_uses + 1 ELSE 1 END, "
    "window_start = CASE WHEN window_uses > 0 AND :since < window_start + window_seconds "
    "THEN window_start ELSE :since END "
    "WHERE grant_id = :grant_id AND state = 1 AND service = :service AND holder = :holder AND purpose = :purpose "
    "AND (mask & :mask) = :mask AND not_before <= :now AND :now < not_after "
    "AND (max_uses = 0 OR uses < max_uses) "
    "AND (window_max = 0 OR window_uses < window_max OR :since >= window_start + window_seconds) "
    f"RETURNING {ROW_COLUMNS}"
)
CLOSE = text(
    "UPDATE grant_row SET state = :state, mask = 0, counter = counter + 1 "
    f"WHERE grant_id = :grant_id AND state IN (1, 2) RETURNING {ROW_COLUMNS}"
)
DROP = text(
    "UPDATE grant_row SET mask = mask & :kept, counter = counter + 1 "
    "WHERE grant_id = :grant_id AND state IN (1, 2) AND (mask & :mask) <> 0 AND (mask & :kept) <> 0 "
    f"RETURNING {ROW_COLUMNS}"
)
ACT = text(
    "UPDATE grant_row SET state = :state, mask = :mask, not_before = :not_before, not_after = :not_after, "
    "max_uses = :max_uses, window_max = :window_max, window_seconds = :window_seconds, "
    "act = act + 1, counter = counter + 1 "
    "WHERE grant_id = :grant_id AND act = :old_act AND mask = :old_mask AND state IN (1, 2) "
    f"RETURNING {ROW_COLUMNS}"
)
KEEP_ACT = text(
    "UPDATE grant_body SET last_act = :hash, last_act_counter = :counter, last_act_state = :state, details = :details "
    "WHERE grant_id = :grant_id"
)
COUNT_DENY = text("UPDATE grant_body SET denies = denies + 1 WHERE grant_id = :grant_id RETURNING denies")
DENY_DUE = text(
    "UPDATE grant_body SET last_deny = :now, denies = 0 "
    "WHERE grant_id = :grant_id AND (last_deny IS NULL OR last_deny <= :due)"
)
