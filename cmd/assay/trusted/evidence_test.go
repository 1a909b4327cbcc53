package trusted

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/capsule"
)

func (l *lab) evidence(t testing.TB, at string) *capsule.Capsule {
	t.Helper()
	c, err := l.policy(t, keyless).Admit(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// respelt is a capsule with another name in the place of one, in all that is not hashed.
func respelt(t testing.TB, c *capsule.Capsule, from, to string) *capsule.Capsule {
	t.Helper()
	text, err := json.Marshal([]any{c.Review, c.Records})
	if err != nil {
		t.Fatal(err)
	}
	var review json.RawMessage
	var records exchange.Records
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte(from), []byte(to)), &[]any{&review, &records}); err != nil {
		t.Fatal(err)
	}
	out := *c
	out.Review, out.Records = review, records
	return &out
}

func (l *lab) digestIn(t testing.TB, dir string) string {
	t.Helper()
	return digestOf(readFile(t, filepath.Join(dir, manifestFile)))
}

func (l *lab) manifest(t testing.TB, digest string) []byte {
	t.Helper()
	w := l.shared.wiring
	text, err := w.Registry().Manifest(t.Context(), w.Credentials, l.host+"/acme/policies@"+digest)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func replace(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(file string) func(*testing.T, *lab, string) {
	return func(t *testing.T, _ *lab, dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func relink(t testing.TB, link, to string) {
	t.Helper()
	if err := errors.Join(os.Remove(link), os.Symlink(to, link)); err != nil {
		t.Fatal(err)
	}
}

func readEvidence(t testing.TB, dir string) *capsule.Capsule {
	t.Helper()
	c, _, err := capsule.Read(bytes.NewReader(readFile(t, filepath.Join(dir, evidenceFile))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeEvidence(t testing.TB, dir string, c *capsule.Capsule) {
	t.Helper()
	var out bytes.Buffer
	if _, err := capsule.Write(&out, c); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(dir, evidenceFile), out.Bytes())
}
