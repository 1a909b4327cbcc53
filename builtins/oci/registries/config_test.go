package registries_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/registries"
)

func TestParse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "none.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "huge.pem"), make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		want       string // of the error, "" for none
	}{
		{"nothing", "", ""},
		{"no registries", "registries: []", ""},
		{"all of it", "registries: [{host: r.example:5000, plainHTTP: true, mirrors: [m.example/a/b, '[::1]:80', m.example]}]", ""},
		{"JSON", `{"registries": [{"host": "r.example"}]}`, ""},
		{"a field that is not known", "registries: [{host: r.example, insecure: true}]", "field insecure not found"},
		{"a field in another spelling", "registries: [{host: r.example, plainHttp: true}]", "field plainHttp not found"},
		{"something else at the top", "registry: []", "field registry not found"},
		{"a field twice", "registries: [{host: a.example, host: b.example}]", `"host" already defined`},
		{"several documents", "registries: []\n---\nregistries: []", "several documents"},
		{"no YAML", "registries: [", "registries: yaml"},
		{"another type", "registries: [{host: r.example, plainHTTP: 'sometimes'}]", "cannot unmarshal"},
		{"no host", "registries: [{plainHTTP: true}]", `registries[0].host: got ""`},
		{"a URL", "registries: [{host: 'https://r.example'}]", `registries[0].host: got "https://r.example"`},
		{"a host with a path", "registries: [{host: r.example/acme}]", "registries[0].host"},
		{"a glob", "registries: [{host: '*.example'}]", "registries[0].host"},
		{"a host twice", "registries: [{host: r.example}, {host: 'R.example:443'}]", "registries[1].host: got r.example a second time"},
		{"Docker Hub twice", "registries: [{host: docker.io}, {host: index.docker.io}]", "a second time"},
		{"an authority that is not there", "registries: [{host: r.example, ca: missing.pem}]", "registries[0].ca"},
		{"an authority that is none", "registries: [{host: r.example, ca: none.pem}]", "got no certificate in PEM"},
		{"an authority that is huge", "registries: [{host: r.example, ca: huge.pem}]", "more than 1048576 bytes"},
		{"a certificate without its key", "registries: [{host: r.example, clientCert: none.pem}]", "want both"},
		{"a key without its certificate", "registries: [{host: r.example, clientKey: none.pem}]", "want both"},
		{"a certificate that is none", "registries: [{host: r.example, clientCert: none.pem, clientKey: none.pem}]", "registries[0].clientCert"},
		{"plain HTTP and a certificate", "registries: [{host: r.example, plainHTTP: true, ca: none.pem}]", "want one or the other"},
		{"a mirror that is no host", "registries: [{host: r.example, mirrors: ['a mirror']}]", "registries[0].mirrors[0]"},
		{"a mirror that leads elsewhere", "registries: [{host: r.example, mirrors: [m.example/../x]}]", "want the beginning of a repository"},
		{"a mirror with a tag", "registries: [{host: r.example, mirrors: ['m.example/x:v1']}]", "want the beginning of a repository"},
		{"a mirror that is the origin", "registries: [{host: r.example, mirrors: ['r.example:443']}]", "want another place"},
		{"a mirror twice", "registries: [{host: r.example, mirrors: [m.example/x, m.example/x/]}]", "mirrors[1]"},
		{"more mirrors than anybody has", "registries: [{host: r.example, mirrors: [" + strings.Repeat("m.example,", 9) + "]}]", "want at most 8"},
		{"more registries than anybody has", "registries: [" + strings.Repeat("{host: r.example},", 1001) + "]", "want at most 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config, err := registries.Parse([]byte(tt.text), dir)
			if tt.want == "" && (err != nil || config == nil) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if tt.want != "" && config != nil {
				t.Error("got a configuration beside an error")
			}
		})
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "registries.yaml")
	if err := os.WriteFile(file, []byte("registries: [{host: r.example, plainHTTP: true}, {host: s.example}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := registries.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]bool{"r.example": true, "r.example:443": true, "r.example:80": false, "s.example": false, "t.example": false} {
		if got := config.Plain(registry); got != want {
			t.Errorf("%s: got plain HTTP %t, want %t", registry, got, want)
		}
	}
	var none *registries.Config
	if none.Plain("r.example") {
		t.Error("got plain HTTP without any configuration")
	}
	if _, err := registries.Read(file + ".missing"); err == nil {
		t.Error("got no error for a file that is not there")
	}
}

// FuzzParse: nothing in a file breaks its reader.
func FuzzParse(f *testing.F) {
	f.Add("registries: [{host: r.example:5000, plainHTTP: true, mirrors: [m.example/a/b]}]")
	f.Add("registries: [{host: r.example, ca: a, clientCert: b, clientKey: c}]")
	f.Fuzz(func(t *testing.T, text string) {
		config, err := registries.Parse([]byte(text), t.TempDir())
		if (config == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", config, err)
		}
	})
}
