// Command audit checks a consent log with Go's own transparency log code (golang.org/x/mod/sumdb),
// which shares no line with the writer it judges.
//
// It verifies the checkpoint's signature, the cosignatures of named witnesses, every tile against
// the signed root, every entry against its tile, a sample of inclusion proofs, and consistency with
// earlier checkpoints. It replays the leaves (replay.go): permission, limits, order, counters and
// minutes of every use. The last line on stdout is a JSON object; the exit code is 1 where anything
// is refused.
//
//	audit -vkey KEY [-witness VKEY]... [-old CHECKPOINT_FILE]... [-promise FILE]... [-previous LOG] [-now SECONDS] LOG
//
// LOG is a folder or the http(s) address below which checkpoint and tile/ lie; -previous names the
// closed log of the period before, which is replayed first.
//
// Build on Debian's golang-golang-x-mod-dev: GOPATH=/usr/share/gocode GO111MODULE=off go build
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight  = 8
	tileWidth   = 1 << tileHeight
	hashBytes   = sha256.Size
	leafBytes   = 80
	sampleSize  = 200
	maxFile     = tileWidth * (2 + leafBytes) // the largest file of a consent log
	cosignature = 0x04
)

var errMissing = errors.New("missing")

type verdict struct {
	Verdict        string            `json:"verdict"`
	Error          string            `json:"error,omitempty"`
	Log            string            `json:"log,omitempty"`
	Size           int64             `json:"size"`
	Root           string            `json:"root,omitempty"`
	Inclusion      int               `json:"inclusion"`
	Consistency    int               `json:"consistency"`
	Witnesses      map[string]uint64 `json:"witnesses"`
	Uses           int               `json:"uses"`
	UsesAfterEnd   int               `json:"uses_after_ending"`
	GrantsFollowed int               `json:"grants"`
	Promises       int               `json:"promises"`
	Violations     int               `json:"violations"`
	Findings       []string          `json:"findings,omitempty"`
}

type many []string

func (m *many) String() string     { return strings.Join(*m, " ") }
func (m *many) Set(s string) error { *m = append(*m, s); return nil }

func main() {
	var witnesses, olds, promises many
	vkey := flag.String("vkey", "", "verifier key of the log")
	flag.Var(&witnesses, "witness", "verifier key of a witness (type 0x04); repeatable")
	flag.Var(&olds, "old", "file with an earlier checkpoint; repeatable")
	flag.Var(&promises, "promise", "file with log promises, one a line; repeatable")
	previous := flag.String("previous", "", "the closed log of the period before")
	now := flag.Int64("now", time.Now().Unix(), "the time, in seconds since 1970")
	flag.Parse()
	if *vkey == "" || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	found := verdict{Verdict: "ok", Witnesses: map[string]uint64{}}
	asked := question{*vkey, witnesses, olds, promises, source(*previous), *now}
	if err := audit(source(flag.Arg(0)), asked, &found); err != nil {
		found.Verdict, found.Error = "refused", err.Error()
	}
	line, err := json.Marshal(found)
	if err != nil {
		panic(err)
	}
	fmt.Printf("size %d root %s\n%s\n", found.Size, found.Root, line)
	if found.Verdict != "ok" {
		os.Exit(1)
	}
}

type question struct {
	vkey                      string
	witnesses, olds, promises []string
	previous                  source
	now                       int64
}

func audit(read source, asked question, found *verdict) error {
	key, err := newLogKey(asked.vkey)
	if err != nil {
		return fmt.Errorf("verifier key: %w", err)
	}
	replaying := &replayer{found: found, now: asked.now, grants: map[[16]byte]*grant{}}
	var before string
	if asked.previous != "" {
		_, opened, entries, err := whole(asked.previous, key, nil)
		if err != nil {
			return fmt.Errorf("period before: %w", err)
		}
		before = opened.Text
		for index, entry := range entries {
			replaying.take(index, entry)
		}
	}
	var known []note.Verifier
	for _, text := range asked.witnesses {
		witness, err := newWitness(text)
		if err != nil {
			return fmt.Errorf("witness key: %w", err)
		}
		known = append(known, witness)
	}
	tree, opened, entries, err := whole(read, key, known)
	if opened != nil {
		found.Log, found.Size, found.Root = strings.SplitN(opened.Text, "\n", 2)[0], tree.N, tree.Hash.String()
	}
	if err != nil {
		return err
	}
	for _, signature := range opened.Sigs {
		if signature.Name == found.Log {
			continue
		}
		at, err := cosignedAt(signature)
		if err != nil {
			return err
		}
		found.Witnesses[signature.Name] = at
	}
	for _, path := range asked.olds {
		if err := consistent(read, tree, path, key.named(found.Log)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		found.Consistency++
	}
	if tree.N > 0 {
		if found.Inclusion, err = included(read, tree, entries); err != nil {
			return err
		}
	}
	for index, entry := range entries {
		replaying.take(index, entry)
	}
	if asked.previous != "" {
		if err := linked(entries, before); err != nil {
			return err
		}
	} else if len(entries) > 0 && len(entries[0]) == leafBytes && entries[0][1] == kindPrevious {
		return errors.New("there is a period before it: name it with -previous")
	}
	for _, path := range asked.promises {
		count, err := kept(entries, path, found.Log, key.public, asked.now)
		if err != nil {
			return err
		}
		found.Promises += count
	}
	if found.Violations > 0 {
		return fmt.Errorf("%d violations, the first at %s", found.Violations, found.Findings[0])
	}
	return nil
}

// whole reads a log's checkpoint and all its entries; nothing of them is believed before the root is right.
func whole(read source, key *logKey, witnesses []note.Verifier) (tlog.Tree, *note.Note, [][]byte, error) {
	raw, err := read.file("checkpoint")
	if err != nil {
		return tlog.Tree{}, nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	origin := strings.SplitN(string(raw), "\n", 2)[0]
	if !key.sameLog(origin) {
		return tlog.Tree{}, nil, nil, errors.New("checkpoint: of another log")
	}
	known := append([]note.Verifier{key.named(origin)}, witnesses...)
	tree, opened, err := openCheckpoint(raw, origin, note.VerifierList(known...))
	if err != nil {
		return tlog.Tree{}, nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	if tree.N == 0 {
		if tree.Hash != sha256.Sum256(nil) {
			return tree, opened, nil, errors.New("the root of an empty log is another one")
		}
		return tree, opened, nil, nil
	}
	entries, err := replay(read, tree)
	return tree, opened, entries, err
}

// A logKey is the log's key: it signs each period of its log under that period's name.
type logKey struct {
	name   string
	public ed25519.PublicKey
}

func newLogKey(vkey string) (*logKey, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(vkey, "+", 3)[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return nil, errors.New("not an Ed25519 key")
	}
	return &logKey{verifier.Name(), ed25519.PublicKey(raw[1:])}, nil
}

func (k *logKey) sameLog(origin string) bool {
	if origin == k.name {
		return true
	}
	at, own := strings.LastIndex(origin, "/"), strings.LastIndex(k.name, "/")
	return at > 0 && own > 0 && origin[:at] == k.name[:own]
}

func (k *logKey) named(origin string) note.Verifier {
	raw := append([]byte{1}, k.public...)
	sum := sha256.Sum256([]byte(origin + "\n" + string(raw)))
	text := fmt.Sprintf("%s+%08x+%s", origin, binary.BigEndian.Uint32(sum[:4]), base64.StdEncoding.EncodeToString(raw))
	verifier, err := note.NewVerifier(text)
	if err != nil {
		panic(err)
	}
	return verifier
}

// openCheckpoint checks the note's signatures and reads its three lines.
func openCheckpoint(raw []byte, origin string, known note.Verifiers) (tlog.Tree, *note.Note, error) {
	opened, err := note.Open(raw, known)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != origin {
		return tlog.Tree{}, nil, errors.New("not the three lines of this log")
	}
	signedByLog := false
	for _, signature := range opened.Sigs {
		signedByLog = signedByLog || signature.Name == origin
	}
	if !signedByLog {
		return tlog.Tree{}, nil, errors.New("not signed by the log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, nil, errors.New("not a size")
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	return tlog.Tree{N: size, Hash: hash}, opened, nil
}

// replay reads every entry, and the root is made of them alone.
func replay(read source, tree tlog.Tree) ([][]byte, error) {
	var entries [][]byte
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for n := int64(0); n*tileWidth < tree.N; n++ {
		width := int(min(tileWidth, tree.N-n*tileWidth))
		bundle, err := read.bundle(n, width)
		if err != nil {
			return nil, fmt.Errorf("entries %d: %w", n, err)
		}
		for _, entry := range bundle {
			more, err := tlog.StoredHashes(int64(len(entries)), entry, reader)
			if err != nil {
				return nil, err
			}
			stored = append(stored, more...)
			entries = append(entries, entry)
		}
	}
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return nil, err
	}
	if root != tree.Hash {
		return nil, errors.New("the entries do not lead to the signed root")
	}
	return entries, nil
}

// included checks proofs of a sample of entries, made from tiles that are checked against the root.
// Reading the hash of every leaf also brings every tile before that check.
func included(read source, tree tlog.Tree, entries [][]byte) (int, error) {
	reader := tlog.TileHashReader(tree, read)
	for first := int64(0); first < tree.N; first += tileWidth {
		if _, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, first)}); err != nil {
			return 0, fmt.Errorf("tiles at entry %d: %w", first, err)
		}
	}
	random := rand.New(rand.NewSource(tree.N))
	indexes := []int64{0, tree.N / 2, tree.N - 1}
	for len(indexes) < sampleSize {
		indexes = append(indexes, random.Int63n(tree.N))
	}
	for _, index := range indexes {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return 0, fmt.Errorf("inclusion of %d: %w", index, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entries[index])); err != nil {
			return 0, fmt.Errorf("inclusion of %d: %w", index, err)
		}
	}
	return len(indexes), nil
}

// consistent checks that the log of an earlier checkpoint is the beginning of this one.
func consistent(read source, tree tlog.Tree, path string, key note.Verifier) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	old, _, err := openCheckpoint(raw, key.Name(), note.VerifierList(key))
	if err != nil {
		return err
	}
	if old.N > tree.N {
		return fmt.Errorf("the log had %d entries and has %d", old.N, tree.N)
	}
	if old.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, read))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

// A witness verifies cosignature/v1 (C2SP tlog-cosignature), which x/mod does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newWitness(vkey string) (*witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not NAME+HASH+KEY")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != cosignature {
		return nil, errors.New("not a cosignature key of type 0x04")
	}
	sum := sha256.Sum256([]byte(parts[0] + "\n" + string(raw)))
	hash := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("its hash is another key's")
	}
	return &witness{parts[0], hash, ed25519.PublicKey(raw[1:])}, nil
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.hash }

func (w *witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	signed := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), text...)
	return ed25519.Verify(w.key, signed, signature[8:])
}

func cosignedAt(signature note.Signature) (uint64, error) {
	raw, err := base64.StdEncoding.DecodeString(signature.Base64)
	if err != nil || len(raw) < 12 {
		return 0, errors.New("cosignature without a time")
	}
	return binary.BigEndian.Uint64(raw[4:12]), nil
}

// A source is a folder or an address; it is tlog's TileReader as well.
type source string

func (s source) Height() int                                { return tileHeight }
func (s source) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (s source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		// x/mod spells the height into the path; tlog-tiles does not.
		content, err := s.partial(strings.Replace(tile.Path(), "tile/8/", "tile/", 1), tile.W*hashBytes)
		if err != nil {
			return nil, err
		}
		data[i] = content
	}
	return data, nil
}

// partial reads a tile; a partial one may be gone once the full one is there.
func (s source) partial(path string, length int) ([]byte, error) {
	content, err := s.file(path)
	if at := strings.Index(path, ".p/"); errors.Is(err, errMissing) && at >= 0 {
		content, err = s.file(path[:at])
		if err == nil && len(content) == tileWidth*hashBytes {
			content = content[:length]
		}
	}
	if err != nil {
		return nil, err
	}
	if len(content) != length {
		return nil, fmt.Errorf("%s: %d bytes, expected %d", path, len(content), length)
	}
	return content, nil
}

func (s source) bundle(n int64, width int) ([][]byte, error) {
	tile := tlog.Tile{H: tileHeight, L: 0, N: n, W: width}
	path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	content, err := s.file(path)
	length := width
	if at := strings.Index(path, ".p/"); errors.Is(err, errMissing) && at >= 0 {
		content, err = s.file(path[:at])
		length = tileWidth
	}
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(content) > 0 {
		if len(content) < 2 {
			return nil, errors.New("cut")
		}
		end := 2 + int(binary.BigEndian.Uint16(content))
		if end > len(content) {
			return nil, errors.New("cut")
		}
		entries = append(entries, content[2:end])
		content = content[end:]
	}
	if len(entries) != length {
		return nil, fmt.Errorf("%d entries, expected %d", len(entries), length)
	}
	return entries[:width], nil
}

func (s source) file(path string) ([]byte, error) {
	if !strings.Contains(string(s), "://") {
		content, err := os.ReadFile(filepath.Join(string(s), filepath.FromSlash(path)))
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", path, errMissing)
		}
		return content, err
	}
	answer, err := http.Get(strings.TrimSuffix(string(s), "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", path, errMissing)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", path, answer.StatusCode)
	}
	var content bytes.Buffer
	if _, err := io.Copy(&content, io.LimitReader(answer.Body, maxFile+1)); err != nil {
		return nil, err
	}
	if content.Len() > maxFile {
		return nil, fmt.Errorf("%s: too large", path)
	}
	return content.Bytes(), nil
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}
