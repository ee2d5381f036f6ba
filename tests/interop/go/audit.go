// Command audit checks a consent log with Go's own transparency log code (golang.org/x/mod/sumdb),
// which shares no line with the writer it judges.
//
// It verifies the checkpoint's signature, the cosignatures of named witnesses, every tile against
// the signed root, every entry against its tile, a sample of inclusion proofs, and consistency with
// earlier checkpoints. Of the leaves it reads only id and kind: no use may stand behind the end of
// its grant. The last line on stdout is a JSON object; the exit code is 1 where anything is refused.
//
//	audit -vkey KEY [-witness VKEY]... [-old CHECKPOINT_FILE]... LOG
//
// LOG is a folder or the http(s) address below which checkpoint and tile/ lie.
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
	kindUse     = 7
	cosignature = 0x04
)

// ends are the kinds of leaf after which a grant may not be used: withdraw, revoke, expire, erase.
var ends = map[byte]bool{9: true, 10: true, 11: true, 14: true}

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
}

type many []string

func (m *many) String() string     { return strings.Join(*m, " ") }
func (m *many) Set(s string) error { *m = append(*m, s); return nil }

func main() {
	var witnesses, olds many
	vkey := flag.String("vkey", "", "verifier key of the log")
	flag.Var(&witnesses, "witness", "verifier key of a witness (type 0x04); repeatable")
	flag.Var(&olds, "old", "file with an earlier checkpoint; repeatable")
	flag.Parse()
	if *vkey == "" || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	found := verdict{Verdict: "ok", Witnesses: map[string]uint64{}}
	if err := audit(source(flag.Arg(0)), *vkey, witnesses, olds, &found); err != nil {
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

func audit(read source, vkey string, witnesses, olds []string, found *verdict) error {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("verifier key: %w", err)
	}
	known := []note.Verifier{key}
	for _, text := range witnesses {
		witness, err := newWitness(text)
		if err != nil {
			return fmt.Errorf("witness key: %w", err)
		}
		known = append(known, witness)
	}
	raw, err := read.file("checkpoint")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	tree, opened, err := openCheckpoint(raw, key.Name(), note.VerifierList(known...))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	found.Log, found.Size, found.Root = key.Name(), tree.N, tree.Hash.String()
	for _, signature := range opened.Sigs {
		if signature.Name == key.Name() {
			continue
		}
		time, err := cosignedAt(signature)
		if err != nil {
			return err
		}
		found.Witnesses[signature.Name] = time
	}
	for _, path := range olds {
		if err := consistent(read, tree, path, key); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		found.Consistency++
	}
	if tree.N == 0 {
		if tree.Hash != sha256.Sum256(nil) {
			return errors.New("the root of an empty log is another one")
		}
		return nil
	}
	entries, err := replay(read, tree)
	if err != nil {
		return err
	}
	if found.Inclusion, err = included(read, tree, entries); err != nil {
		return err
	}
	return follow(entries, found)
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

// follow reads the leaves: a use behind the end of its grant is a broken promise.
func follow(entries [][]byte, found *verdict) error {
	ended := map[[16]byte]bool{}
	for index, entry := range entries {
		if len(entry) != leafBytes || entry[0] != 1 {
			return fmt.Errorf("entry %d is not a leaf", index)
		}
		kind := entry[1]
		var id [16]byte
		copy(id[:], entry[4:20])
		switch {
		case kind == 3:
			found.GrantsFollowed++
		case kind == kindUse:
			found.Uses++
			if ended[id] {
				found.UsesAfterEnd++
			}
		case ends[kind]:
			ended[id] = true
		}
	}
	if found.UsesAfterEnd > 0 {
		return fmt.Errorf("%d uses after the end of their grants", found.UsesAfterEnd)
	}
	return nil
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
