package watch

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		data     map[string]string
		want     Settings
		warnings []string
		err      string
	}{
		{name: "nothing is said", data: map[string]string{"_example": "no-match-policy: warn"}},
		{name: "CFG-1 warn", data: map[string]string{"no-match-policy": "warn"}, want: Settings{NoMatch: "warn"}},
		{
			name: "CFG-1 a value that nobody knows is deny", data: map[string]string{"no-match-policy": "Allow"},
			want: Settings{NoMatch: "deny"}, warnings: []string{`no-match-policy: got "Allow", want deny, warn or allow: taken for deny`},
		},
		{
			name: "CFG-2 a policy without authorities always fails", data: map[string]string{"fail-on-empty-authorities": "false"},
			want:     Settings{EmptyAuthorities: true},
			warnings: []string{`fail-on-empty-authorities: "false" admits no image: a policy without authorities denies what it matches`},
		},
		{
			name: "CFG-3 referrers are the policy's to name", data: map[string]string{"enable-oci11": "true"},
			warnings: []string{`enable-oci11: "true" has no effect: a policy names where signatures are looked for, and "signatureFormat: bundle" or "any" reads and verifies referrers`},
		},
		{name: "what is the case anyway is said in silence", data: map[string]string{"fail-on-empty-authorities": "true", "enable-oci11": "0"}},
		{name: "CFG-4 a bad bool", data: map[string]string{"enable-oci11": "yes", "no-match-policy": "allow"}, err: `enable-oci11: got "yes", want true or false`},
		{
			name: "CFG-5 registries", data: map[string]string{"insecure-registries": " Registry.local:5000, 10.0.0.1,registry.local:5000,"},
			want: Settings{InsecureRegistries: []string{"10.0.0.1", "registry.local:5000"}},
		},
		{name: "CFG-5 no registries", data: map[string]string{"insecure-registries": ""}, want: Settings{InsecureRegistries: []string{}}},
		{name: "CFG-5 a repository is no host", data: map[string]string{"insecure-registries": "a.b/c"}, err: `insecure-registries: got "a.b/c", want host or host:port`},
		{name: "CFG-5 a URL is no host", data: map[string]string{"insecure-registries": "http://a.b"}, err: `insecure-registries: got "http://a.b", want host or host:port`},
		{name: "a key that is no setting", data: map[string]string{"no-match": "allow"}, warnings: []string{`"no-match" is no setting`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, warnings, err := ParseSettings(tt.data)
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("error: got %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func settingsObject(t *testing.T, data string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-policy-controller, namespace: cosign-system}\ndata: "+data)
}

func TestSettingsThatCannotBeReadKeepThoseBefore(t *testing.T) {
	t.Parallel()
	warn := readSettings(settingsObject(t, `{no-match-policy: warn}`), settingsItem{})
	bad := settingsObject(t, `{no-match-policy: allow, enable-oci11: maybe}`)
	kept := readSettings(bad, warn)
	if kept.serves.NoMatch != "warn" || !strings.Contains(kept.cause, `got "maybe"`) {
		t.Errorf("got %+v, want warn and the cause", kept)
	}
	first := readSettings(bad, settingsItem{})
	if first.serves.NoMatch != "deny" || first.known || first.cause == "" {
		t.Errorf("without any before: got %+v, want deny and the cause", first)
	}
	if again := readSettings(bad, first); again.serves.NoMatch != "deny" || again.known {
		t.Errorf("and again: got %+v, want deny", again)
	}
	large := settingsObject(t, `{}`)
	large.Object["data"] = map[string]any{"no-match-policy": "allow", "x": strings.Repeat("x", 1<<20)}
	if kept := readSettings(large, warn); kept.serves.NoMatch != "warn" || !strings.Contains(kept.cause, "want at most 1048576") {
		t.Errorf("more than 1 MiB: got %+v, want warn and the cause", kept)
	}
	large.Object["data"] = map[string]any{"no-match-policy": "allow", "_example": strings.Repeat("x", 1<<20-100)}
	if read := readSettings(large, warn); read.serves.NoMatch != "allow" {
		t.Errorf("1 MiB: got %q, want it read", read.cause)
	}
}

func FuzzSettings(f *testing.F) {
	f.Add("no-match-policy", "deny")
	f.Add("insecure-registries", "a:1,[::1]:2,,")
	f.Fuzz(func(t *testing.T, key, value string) {
		s, _, err := ParseSettings(map[string]string{key: value})
		if err != nil {
			return
		}
		if s.NoMatch == "allow" && value != "allow" {
			t.Errorf("got allow from %q", value)
		}
		if _, _, err := ParseSettings(map[string]string{"insecure-registries": strings.Join(s.InsecureRegistries, ",")}); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}
