package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"crypto/ed25519"
)

// The kinds of leaf (specs/wire.md, C6).
const (
	kindGrant    = 3
	kindAmend    = 4
	kindPause    = 5
	kindResume   = 6
	kindUse      = 7
	kindDeny     = 8
	kindWithdraw = 9
	kindRevoke   = 10
	kindExpire   = 11
	kindErase    = 14
	kindPrevious = 16

	flagDay     = 1
	flagGrouped = 2

	dayMinutes   = 24 * 60
	epochMinutes = 1577836800 / 60
	skewSeconds  = 120
	denyMinutes  = 58
	deniesADay   = 25

	maxFindings = 20
)

// A leaf in its 80 bytes.
type leaf struct {
	kind, flags      byte
	id               [16]byte
	counter          uint32
	service, purpose uint32
	minute           uint32
	mask             uint64
	endDay, maxUses  uint16
	commitment       [32]byte
}

func parseLeaf(raw []byte) (leaf, error) {
	var l leaf
	if len(raw) != leafBytes || raw[0] != 1 || raw[1] < 1 || raw[1] > 16 || raw[2] > 3 || raw[3] != 0 {
		return l, errors.New("not a leaf")
	}
	l.kind, l.flags = raw[1], raw[2]
	copy(l.id[:], raw[4:20])
	l.counter = binary.BigEndian.Uint32(raw[20:])
	l.service = binary.BigEndian.Uint32(raw[24:])
	l.purpose = binary.BigEndian.Uint32(raw[28:])
	l.minute = binary.BigEndian.Uint32(raw[32:])
	l.mask = binary.BigEndian.Uint64(raw[36:])
	l.endDay = binary.BigEndian.Uint16(raw[44:])
	l.maxUses = binary.BigEndian.Uint16(raw[46:])
	copy(l.commitment[:], raw[48:])
	return l, nil
}

func (l leaf) ofGrant() bool {
	return l.kind >= kindGrant && l.kind <= kindExpire || l.kind == kindErase
}

// lastMinute is the latest minute that the leaf may stand for: a day's start stands for all of the day.
func (l leaf) lastMinute() uint32 {
	if l.flags&flagDay != 0 {
		return l.minute + dayMinutes - 1
	}
	return l.minute
}

type grant struct {
	service, purpose uint32
	flags            byte
	counter          uint32
	mask             uint64
	endDay, maxUses  uint16
	uses             int
	paused, ended    bool
	refused          uint32
	refusals         int
}

// A replayer holds every leaf against what the log said before it. It was written from the
// description of the leaf alone, not from the Python auditor.
type replayer struct {
	found  *verdict
	now    int64
	minute uint32
	grants map[[16]byte]*grant
}

func (r *replayer) broken(index int, what string) {
	r.found.Violations++
	if len(r.found.Findings) < maxFindings {
		r.found.Findings = append(r.found.Findings, fmt.Sprintf("entry %d: %s", index, what))
	}
}

func (r *replayer) take(index int, raw []byte) {
	l, err := parseLeaf(raw)
	if err != nil {
		r.broken(index, err.Error())
		return
	}
	r.fields(index, l)
	r.time(index, l)
	g, known := r.grants[l.id]
	if !l.ofGrant() {
		if known && l.kind != kindPrevious {
			r.broken(index, "the id of a grant")
		}
		return
	}
	if l.kind == kindGrant {
		r.begin(index, l, known)
		return
	}
	if !known {
		r.broken(index, "of a grant that nobody gave")
		return
	}
	r.goOn(index, l, g)
}

// fields: what has no meaning for a kind is zero.
func (r *replayer) fields(index int, l leaf) {
	limits := l.kind == kindGrant || l.kind == kindAmend
	if l.mask != 0 && !limits && l.kind != kindUse || (l.endDay != 0 || l.maxUses != 0) && !limits {
		r.broken(index, "a field that has no meaning there")
	}
	if l.counter != 0 && (!l.ofGrant() || l.kind == kindDeny) {
		r.broken(index, "a counter where none is")
	}
	if l.kind == kindPrevious && (l.service|l.purpose|uint32(l.flags) != 0 || l.id != [16]byte{}) {
		r.broken(index, "a link that says something else")
	}
}

func (r *replayer) time(index int, l leaf) {
	if l.flags&flagDay != 0 && l.minute%dayMinutes != 0 {
		r.broken(index, "not the start of a day")
	}
	if l.lastMinute() < r.minute {
		r.broken(index, "its minute is before an earlier entry's")
	}
	if int64(l.minute)*60 > r.now+skewSeconds {
		r.broken(index, "its minute has not come")
	}
	if l.minute > r.minute {
		r.minute = l.minute
	}
}

func (r *replayer) begin(index int, l leaf, known bool) {
	r.found.GrantsFollowed++
	if known {
		r.broken(index, "a grant given twice")
		return
	}
	if l.counter != 1 {
		r.broken(index, "the first act is not number 1")
	}
	if l.service == 0 || l.purpose == 0 {
		r.broken(index, "a grant to nobody")
	}
	r.grants[l.id] = &grant{
		service: l.service, purpose: l.purpose, flags: l.flags, counter: l.counter,
		mask: l.mask, endDay: l.endDay, maxUses: l.maxUses,
	}
}

func (r *replayer) goOn(index int, l leaf, g *grant) {
	if l.service != g.service || l.purpose != g.purpose || (l.flags^g.flags)&flagGrouped != 0 {
		r.broken(index, "another service or purpose than its grant")
	}
	if l.flags&flagDay < g.flags&flagDay {
		r.broken(index, "a minute where its grant tells days")
	}
	g.flags |= l.flags & flagDay
	if l.kind == kindDeny {
		r.refuse(index, l, g)
		return
	}
	if l.counter != g.counter+1 {
		r.broken(index, fmt.Sprintf("act %d behind act %d", l.counter, g.counter))
	}
	g.counter = l.counter
	if g.ended {
		if l.kind == kindUse {
			r.found.Uses++
			r.found.UsesAfterEnd++
			r.broken(index, "a use after the end of its grant")
		} else if l.kind != kindErase {
			r.broken(index, "an act after the end of its grant")
		}
		return
	}
	switch l.kind {
	case kindUse:
		r.use(index, l, g)
	case kindAmend:
		r.amend(index, l, g)
	case kindPause:
		g.paused = true
	case kindResume:
		g.paused = false
	default:
		g.ended = true
	}
}

func (r *replayer) use(index int, l leaf, g *grant) {
	r.found.Uses++
	g.uses++
	if g.paused {
		r.broken(index, "a use while its grant was paused")
	}
	if l.mask == 0 || l.mask&^g.mask != 0 {
		r.broken(index, "a use beyond what was permitted")
	}
	if g.maxUses != 0 && g.uses > int(g.maxUses) {
		r.broken(index, "more uses than were permitted")
	}
	if (int64(l.minute)-epochMinutes)/dayMinutes > int64(g.endDay) {
		r.broken(index, "a use after the last day")
	}
}

// amend: a change leaves something, and nothing more than there was.
func (r *replayer) amend(index int, l leaf, g *grant) {
	if l.mask == 0 || l.mask&^g.mask != 0 || l.endDay > g.endDay {
		r.broken(index, "a change that widens")
	}
	if l.maxUses != g.maxUses && (l.maxUses == 0 || g.maxUses != 0 && l.maxUses > g.maxUses) {
		r.broken(index, "a change that permits more uses")
	}
	g.mask, g.endDay, g.maxUses = l.mask, l.endDay, l.maxUses
}

// refuse: of a grant's refusals at most one an hour is an entry.
func (r *replayer) refuse(index int, l leaf, g *grant) {
	most := 1
	if l.flags&flagDay != 0 {
		most = deniesADay
	}
	if g.refused == l.minute {
		g.refusals++
	} else {
		if l.flags&flagDay == 0 && g.refused != 0 && l.minute < g.refused+denyMinutes {
			r.broken(index, "a refusal too soon after the one before")
		}
		g.refusals = 1
	}
	if g.refusals > most {
		r.broken(index, "a refusal too many")
	}
	if l.minute > g.refused {
		g.refused = l.minute
	}
}

// linked: the first leaf of a period commits to the last checkpoint of the one before it.
func linked(entries [][]byte, previous string) error {
	if len(entries) == 0 {
		return errors.New("it has no link to the period before")
	}
	l, err := parseLeaf(entries[0])
	if err != nil || l.kind != kindPrevious || l.commitment != sha256.Sum256([]byte(previous)) {
		return errors.New("its first entry does not name the last checkpoint of the period before")
	}
	return nil
}

// kept checks the log promises in a file, one a line: each is signed by the log's key, and by its due
// time there is a leaf that differs only in minute and the day flag.
func kept(entries [][]byte, path, origin string, key ed25519.PublicKey, now int64) (int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	lines := strings.Fields(string(content))
	for _, line := range lines {
		promised, due, err := openPromise(line, origin, key)
		if err != nil {
			return 0, fmt.Errorf("promise: %w", err)
		}
		minute, found := int64(0), false
		for _, entry := range entries {
			if len(entry) == leafBytes && bytes.Equal(promised, withoutMinute(entry)) {
				minute, found = int64(binary.BigEndian.Uint32(entry[32:])), true
				break
			}
		}
		if !found && now > due {
			return 0, errors.New("a promise was broken")
		}
		if found && minute*60 > due {
			return 0, errors.New("a promise was kept too late")
		}
	}
	return len(lines), nil
}

func withoutMinute(entry []byte) []byte {
	plain := append([]byte{}, entry...)
	plain[2] &^= flagDay
	copy(plain[32:36], []byte{0, 0, 0, 0})
	return plain
}

func openPromise(compact, origin string, key ed25519.PublicKey) ([]byte, int64, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, 0, errors.New("not a JWS")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
		return nil, 0, errors.New("not signed by the log")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, 0, err
	}
	var claims struct {
		Log  string `json:"log"`
		Leaf string `json:"leaf"`
		Due  int64  `json:"due"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, 0, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(claims.Leaf)
	if err != nil || len(raw) != leafBytes || claims.Log != origin {
		return nil, 0, errors.New("not a promise of this log")
	}
	return withoutMinute(raw), claims.Due, nil
}
