package capsule_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/capsule"
)

// sample is a small capsule with something in every member.
func sample() *capsule.Capsule {
	c := &capsule.Capsule{
		Settings: capsule.Settings{
			Program: "assay v1", Time: time.Date(2026, 6, 1, 12, 0, 1, 500_000_000, time.UTC), Call: "validate",
			Config: json.RawMessage(`{"no_match":"deny"}`), PolicySet: "abc", Masked: []string{"request.object.spec.env[0].value"},
		},
		Review:   json.RawMessage(`{"request":{"uid":"1"}}`),
		Policies: []capsule.Document{{Kind: "ClusterImagePolicy", Name: "released", Value: json.RawMessage(`{"name":"released"}`)}},
		Outcome:  capsule.Outcome{Decision: json.RawMessage(`{"allowed":false}`)},
		Records: exchange.Records{
			Exchanges: []exchange.Record{{Call: exchange.Call{Name: "resolve", Ref: "app:v1"}, Answer: json.RawMessage(`"sha256:00"`)}},
			Questions: []exchange.Answered{{Question: "oci.resolve app:v1 00", Exchanges: []int{0}}},
		},
	}
	c.Trust.Roots = map[string]capsule.Root{"": {Form: "trusted_root", Content: c.Keep([]byte("root"))}, "gone": {Cause: "there is none"}}
	c.Keep([]byte("signature"))
	return c
}

func written(t testing.TB, c *capsule.Capsule) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := capsule.Write(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCapsuleReadsAsItWasWritten(t *testing.T) {
	t.Parallel()
	file := written(t, sample())
	if !capsule.Is(file) {
		t.Error("got a file that does not begin as a capsule")
	}
	read, digest, err := capsule.Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	second, err := capsule.Write(&again, read)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, again.Bytes()) || digest != second {
		t.Errorf("got %s when written again, want %s: equal capsules are equal bytes", second, digest)
	}
	if got := read.Outcome.Verdict(); got != "denied" {
		t.Errorf("verdict: got %s, want denied", got)
	}
}

// TestEveryChangedByteIsFound changes each byte of a capsule, one at a time.
func TestEveryChangedByteIsFound(t *testing.T) {
	t.Parallel()
	file := written(t, sample())
	_, want, err := capsule.Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 0x20
		_, digest, err := capsule.Read(bytes.NewReader(changed))
		if err == nil && digest == want && inContent(file, i) {
			t.Errorf("byte %d: got no error", i)
		}
	}
}

// inContent reports whether a byte is content of a member: the rest are headers of tar
// (owner, mode) and padding, which nothing reads.
func inContent(file []byte, at int) bool {
	for offset := 0; offset+512 <= len(file); {
		var size int64
		if _, err := fmt.Sscanf(string(file[offset+124:offset+135]), "%o", &size); err != nil {
			return false
		}
		begin := offset + 512
		if at >= begin && at < begin+int(size) {
			return true
		}
		offset = begin + int((size+511)/512*512)
	}
	return false
}

func TestTamperedMemberIsNamedWithBothDigests(t *testing.T) {
	t.Parallel()
	file := bytes.Replace(written(t, sample()), []byte("\nsignature"), []byte("\nsignaturE"), 1)
	file = bytes.Replace(file, []byte("signature\x00"), []byte("signaturE\x00"), 1)
	_, _, err := capsule.Read(bytes.NewReader(file))
	var tampered *capsule.Tampered
	if !errors.As(err, &tampered) {
		t.Fatalf("got %v, want a Tampered", err)
	}
	want := &capsule.Tampered{
		Member: "blobs/sha256/" + hash("signature"), Got: "sha256:" + hash("signaturE"), Want: "sha256:" + hash("signature"),
	}
	if diff := cmp.Diff(want, tampered); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// entry is a member of an archive that somebody made by hand.
type entry struct {
	header tar.Header
	text   string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		if e.header.Size == 0 {
			e.header.Size = int64(len(e.text))
		}
		if e.header.Typeflag == 0 {
			e.header.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Flush() // a size that lies leaves the archive unfinished
	return out.Bytes()
}

// parts are the members that every capsule has, with the least in them.
func parts() []entry {
	var out []entry
	for _, p := range []struct{ name, text string }{
		{"decision.json", `{}`}, {"settings.json", `{"program":"","time":"2026-06-01T12:00:00Z","call":"validate","config":{},"anchored_identities":false,"policy_set":""}`},
		{"review.json", `{}`}, {"policies.json", `[]`}, {"trust.json", `{"roots":{}}`}, {"exchanges.json", `{"exchanges":[],"questions":[]}`},
	} {
		out = append(out, entry{tar.Header{Name: p.name}, p.text})
	}
	return out
}

func list(format string, entries ...entry) entry {
	var members []string
	for _, e := range entries {
		members = append(members, fmt.Sprintf(`{"name":%q,"sha256":%q,"size":%d}`, e.header.Name, hash(e.text), len(e.text)))
	}
	return entry{tar.Header{Name: "capsule.json"}, fmt.Sprintf(`{"format":%q,"members":[%s]}`, format, strings.Join(members, ","))}
}

func TestHostileCapsules(t *testing.T) {
	t.Parallel()
	with := func(change func(all []entry) []entry) []byte {
		all := change(parts())
		return archive(t, append([]entry{list(capsule.Format, all...)}, all...)...)
	}
	replaced := func(name, text string) []byte {
		return with(func(all []entry) []entry {
			for i := range all {
				if all[i].header.Name == name {
					all[i].text = text
				}
			}
			return all
		})
	}
	good := with(func(all []entry) []entry { return all })
	if _, _, err := capsule.Read(bytes.NewReader(good)); err != nil {
		t.Fatalf("the least capsule: got %v, want none", err)
	}
	added := func(e entry) []byte { return with(func(all []entry) []entry { return append(all, e) }) }
	blob := entry{tar.Header{Name: "blobs/sha256/" + hash("x")}, "x"}
	link := parts()
	link[0].header.Typeflag, link[0].header.Linkname, link[0].text = tar.TypeSymlink, "/etc/passwd", ""
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "member capsule.json: got the end of the file: it is cut short, or no capsule"},
		{"a text", []byte(strings.Repeat("no capsule ", 100)), "member capsule.json: archive/tar: invalid tar header"},
		{"another archive", archive(t, entry{tar.Header{Name: "README"}, "hello"}), "member 0: got README, want capsule.json: this is no capsule"},
		{"another version", archive(t, list("assay.capsule/9")), "capsule.json: format: got assay.capsule/9, want assay.capsule/1"},
		{"no JSON", archive(t, entry{tar.Header{Name: "capsule.json"}, "{"}), "capsule.json: unexpected EOF"},
		{"a field that is unknown", archive(t, entry{tar.Header{Name: "capsule.json"}, `{"formats":1}`}), `capsule.json: json: unknown field "formats"`},
		{"nothing behind the list", archive(t, list(capsule.Format, parts()...)), "member decision.json: got the end of the file: it is cut short, or no capsule"},
		{"cut short in a member", good[:1800], "it is cut short, or no capsule"},
		{"no members", archive(t, list(capsule.Format)), "capsule.json: members: got 0, want at least 6"},
		{"a name that leads out", added(entry{tar.Header{Name: "../../etc/passwd"}, "x"}), "capsule.json: members[6].name: got ../../etc/passwd, want blobs/sha256/ and 64 hex digits"},
		{"a member twice", with(func(all []entry) []entry { return append(all, blob, blob) }), "want each once and in order"},
		{"a blob that is called otherwise", added(entry{tar.Header{Name: "blobs/sha256/" + hash("y")}, "x"}), "want that of its name"},
		{"a link", archive(t, append([]entry{list(capsule.Format, parts()...)}, link...)...), `member "decision.json": got type '2' of format`},
		{"extensions of tar", archive(t, entry{tar.Header{Name: "capsule.json", PAXRecords: map[string]string{"SCHILY.xattr.a": "b"}}, "{}"}), `of format PAX, want a plain file of ustar`},
		{"a size that lies", archive(t, entry{tar.Header{Name: "capsule.json", Size: 1 << 20}, "{}"}), "unexpected EOF"},
		{"a large list", archive(t, entry{tar.Header{Name: "capsule.json"}, strings.Repeat(" ", 3<<20)}), "want at most 2097152: the capsule is too large"},
		{"a large member", archive(t, entry{tar.Header{Name: "capsule.json"}, fmt.Sprintf(
			`{"format":%q,"members":[{"name":"decision.json","sha256":"","size":1000000000000}]}`, capsule.Format)}), "capsule.json: decision.json: got 1000000000000 bytes, want at most 33554432: the capsule is too large"},
		{"many values in a small text", replaced("policies.json", "["+strings.Repeat("{},", 1<<20)+"{}]"), "policies.json: got more than 1048576 values: the capsule is too large"},
		{"deep values", replaced("review.json", strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), "review.json: invalid character '[' exceeded max depth"},
		{"two values", replaced("decision.json", "{} {}"), "decision.json: got more than one value"},
		{"a member that is not listed", archive(t, append(append([]entry{list(capsule.Format, parts()...)}, parts()...), blob)...), "got one that capsule.json does not list"},
		{"bytes behind the end", append(written(t, sample()), 'x'), "end of the archive: got more bytes behind it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := capsule.Read(bytes.NewReader(tt.file))
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), strings.ReplaceAll(tt.want, `"`, "")) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSavedCapsuleIsItsOwners(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "capsules")
	path, size, err := capsule.Save(dir, sample())
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, path: 0o600} {
		info, err := os.Stat(file)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: got %v and %v, want mode %v", file, info.Mode(), err, want)
		}
	}
	if name := filepath.Base(path); !capsule.Named(name) || !strings.HasPrefix(name, "20260601T120001.500Z-denied-") {
		t.Errorf("got name %s", name)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		t.Errorf("got size %d, want that of the file", size)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("got %v and %v, want one file and nothing half written", entries, err)
	}
	if _, _, err := capsule.Open(path); err != nil {
		t.Error(err)
	}
	renamed := strings.Replace(path, "denied-", "denied-0", 1)
	renamed = renamed[:len(renamed)-len(capsule.Extension)-1] + capsule.Extension
	if err := os.Rename(path, renamed); err != nil {
		t.Fatal(err)
	}
	var tampered *capsule.Tampered
	if _, _, err := capsule.Open(renamed); !errors.As(err, &tampered) || tampered.Member != "capsule.json" {
		t.Errorf("another digest in the name: got %v, want capsule.json tampered with", err)
	}
}

func TestCapsuleThatIsTooLargeIsNotWritten(t *testing.T) {
	t.Parallel()
	c := sample()
	c.Review = json.RawMessage("[" + strings.Repeat("1,", 1<<20) + "1]")
	dir := t.TempDir()
	if _, _, err := capsule.Save(dir, c); !errors.Is(err, capsule.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, capsule.ErrTooLarge)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("got %v and %v, want no file", entries, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, sample()))
	all := parts()
	f.Add(archive(f, append([]entry{list(capsule.Format, all...)}, all...)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, digest, err := capsule.Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if _, err := capsule.Write(&again, c); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, _, err := capsule.Read(&again); err != nil {
			t.Errorf("capsule %s: what was read and written cannot be read: %v", digest, err)
		}
	})
}
