package pullsecret_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
)

func auth(user string) string {
	return fmt.Sprintf(`{"auth": %q}`, base64.StdEncoding.EncodeToString([]byte(user+":s3cret")))
}

// secret is one of type dockerconfigjson with host and user in turn.
func secret(name string, pairs ...string) pullsecret.Secret {
	var entries []string
	for i := 0; i < len(pairs); i += 2 {
		entries = append(entries, fmt.Sprintf("%q: %s", pairs[i], auth(pairs[i+1])))
	}
	return raw(name, `{"auths": {`+strings.Join(entries, ", ")+`}}`)
}

func raw(name, content string) pullsecret.Secret {
	return pullsecret.Secret{Name: name, Type: pullsecret.TypeConfigJSON, Data: map[string][]byte{".dockerconfigjson": []byte(content)}}
}

// user is who the credentials are for a repository, "" for nobody.
func user(t *testing.T, c oci.Credentials, repository string) string {
	t.Helper()
	if c.Keychain == nil {
		return ""
	}
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Keychain.Resolve(repo)
	if err != nil {
		t.Fatal(err)
	}
	config, err := authn.Authorization(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	return config.Username
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	legacy := pullsecret.Secret{Name: "old", Type: pullsecret.TypeConfig, Data: map[string][]byte{
		".dockercfg": []byte(`{"https://r.example": {"username": "old", "password": "s3cret", "email": "x@example.com"}}`),
	}}
	other := secret("other", "r.example", "u")
	other.Type = "Opaque"
	for _, tt := range []struct {
		name       string
		secrets    []pullsecret.Secret
		repository string
		want       string
	}{
		{"AUTH-4: a host", []pullsecret.Secret{secret("a", "r.example", "u")}, "r.example/acme/app", "u"},
		{"AUTH-4: another host is asked anonymously", []pullsecret.Secret{secret("a", "r.example", "u")}, "s.example/acme/app", ""},
		{"AUTH-4: a host with a port is another", []pullsecret.Secret{secret("a", "r.example", "u")}, "r.example:5000/acme/app", ""},
		{"AUTH-4: a URL", []pullsecret.Secret{secret("a", "https://R.example/v2/", "u")}, "r.example/acme/app", "u"},
		{"AUTH-4: Docker Hub by the name that docker login writes", []pullsecret.Secret{secret("a", "https://index.docker.io/v1/", "u")}, "library/nginx", "u"},
		{"AUTH-4: Docker Hub by its other name", []pullsecret.Secret{secret("a", "docker.io", "u")}, "acme/app", "u"},
		{"AUTH-4: the longest path", []pullsecret.Secret{secret("a", "r.example", "u", "r.example/acme", "team", "r.example/acme/app/x", "no")}, "r.example/acme/app", "team"},
		{"AUTH-4: a path ends where a part ends", []pullsecret.Secret{secret("a", "r.example/acme", "team")}, "r.example/acme-evil/app", ""},
		{"AUTH-4: a glob for a label", []pullsecret.Secret{secret("a", "*.example", "u")}, "r.example/app", "u"},
		{"AUTH-4: a glob is one label", []pullsecret.Secret{secret("a", "*.example", "u")}, "a.b.example/app", ""},
		{"AUTH-4: a host before a glob", []pullsecret.Secret{secret("a", "*.example", "any"), secret("b", "r.example", "u")}, "r.example/app", "u"},
		{"AUTH-4: a glob that is none fits nothing", []pullsecret.Secret{secret("a", "[.example", "u")}, "r.example/app", ""},
		{"AUTH-4: the first Secret of several", []pullsecret.Secret{secret("b", "r.example", "first"), secret("a", "r.example", "second")}, "r.example/app", "first"},
		{"AUTH-4: the older type", []pullsecret.Secret{legacy}, "r.example/app", "old"},
		{"AUTH-4: a Secret of another type is skipped", []pullsecret.Secret{other}, "r.example/app", ""},
		{"AUTH-4: an empty Secret is skipped", []pullsecret.Secret{{Name: "a", Type: pullsecret.TypeConfigJSON}}, "r.example/app", ""},
		{"AUTH-4: helpers are not run", []pullsecret.Secret{raw("a", `{"auths": {}, "credsStore": "evil", "credHelpers": {"r.example": "evil"}}`)}, "r.example/app", ""},
		{"AUTH-4: no Secrets", nil, "r.example/app", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := pullsecret.Credentials("shop", tt.secrets)
			if err != nil {
				t.Fatal(err)
			}
			if got := user(t, c, tt.repository); got != tt.want {
				t.Errorf("got user %q, want %q", got, tt.want)
			}
			if (c.ID == "") != (c.Keychain == nil) {
				t.Errorf("got ID %q and keychain %v, want both or none", c.ID, c.Keychain)
			}
		})
	}
}

// TestIDNamesTheTenant: whatever differs about the Secrets makes another one.
func TestIDNamesTheTenant(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for what, make := range map[string]func() (oci.Credentials, error){
		"as it is": func() (oci.Credentials, error) {
			return pullsecret.Credentials("shop", []pullsecret.Secret{secret("a", "r.example", "u")})
		},
		"another namespace": func() (oci.Credentials, error) {
			return pullsecret.Credentials("bank", []pullsecret.Secret{secret("a", "r.example", "u")})
		},
		"another name": func() (oci.Credentials, error) {
			return pullsecret.Credentials("shop", []pullsecret.Secret{secret("b", "r.example", "u")})
		},
		"another user": func() (oci.Credentials, error) {
			return pullsecret.Credentials("shop", []pullsecret.Secret{secret("a", "r.example", "v")})
		},
		"one more": func() (oci.Credentials, error) {
			return pullsecret.Credentials("shop", []pullsecret.Secret{secret("a", "r.example", "u"), {Name: "b"}})
		},
		"names that run into each other": func() (oci.Credentials, error) {
			return pullsecret.Credentials("shopa", []pullsecret.Secret{secret("", "r.example", "u")})
		},
	} {
		c, err := make()
		again, _ := make()
		if err != nil || c.ID == "" || c.ID != again.ID {
			t.Fatalf("%s: got %q, then %q, and %v, want one ID", what, c.ID, again.ID, err)
		}
		if before, ok := seen[c.ID]; ok {
			t.Errorf("%s and %s have one ID", what, before)
		}
		if strings.Contains(c.ID, "s3cret") || strings.Contains(c.ID, "shop") {
			t.Errorf("got ID %s, want a hash", c.ID)
		}
		seen[c.ID] = what
	}
}

// everyone is a keychain for every host, such as that of an installation.
type everyone struct{}

func (everyone) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "installation", Password: "s3cret"}, nil
}

// TestBefore: the workload's own count where they name the repository, and nowhere else.
func TestBefore(t *testing.T) {
	t.Parallel()
	own, err := pullsecret.Credentials("shop", []pullsecret.Secret{secret("a", "r.example", "u", "s.example/acme", "v"), raw("empty", `{"auths": {"none.example": {}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	installation := oci.Credentials{ID: "webhook", Keychain: everyone{}}
	both := pullsecret.Before(own, installation)
	for repository, want := range map[string]string{
		"r.example/app": "u", "s.example/acme/app": "v", "s.example/other": "installation", "t.example/app": "installation",
		"none.example/app": "", // an entry that says nothing is an entry
	} {
		if got := user(t, both, repository); got != want {
			t.Errorf("AUTH-1: %s: got user %q, want %q", repository, got, want)
		}
	}
	if both.ID == own.ID || both.ID == installation.ID || pullsecret.Before(own, oci.Credentials{ID: "local", Keychain: everyone{}}).ID == both.ID {
		t.Errorf("got ID %s, want one of both", both.ID)
	}
	if got := pullsecret.Before(oci.Credentials{}, installation); got.ID != "webhook" {
		t.Errorf("got ID %q without any of its own, want the installation's", got.ID)
	}
	if got := pullsecret.Before(own, oci.Credentials{}); got.ID != own.ID {
		t.Errorf("got ID %q without an installation's, want its own", got.ID)
	}
}

// TestBadConfigurationIsNamedAndNotQuoted: nobody reads in an error what was secret.
func TestBadConfigurationIsNamedAndNotQuoted(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, 2002)
	for i := range 1001 {
		many = append(many, fmt.Sprintf("r%d.example", i), "u")
	}
	for name, tt := range map[string]struct {
		secret pullsecret.Secret
		want   oci.Code
	}{
		"AUTH-4: no JSON":                       {raw("broken", "s3cret"), oci.Malformed},
		"AUTH-4: another JSON":                  {raw("broken", `["s3cret"]`), oci.Malformed},
		"AUTH-4: an entry of another type":      {raw("broken", `{"auths": {"r.example": "s3cret"}}`), oci.Malformed},
		"AUTH-4: an auth that is not base64":    {raw("broken", `{"auths": {"r.example": {"auth": "s3cret!"}}}`), oci.Malformed},
		"AUTH-4: an auth without a colon":       {raw("broken", `{"auths": {"r.example": {"auth": "czNjcmV0"}}}`), oci.Malformed},
		"AUTH-4: something behind it":           {raw("broken", `{"auths": {}} s3cret`), oci.Malformed},
		"AUTH-4: deeper than any":               {raw("broken", strings.Repeat(`{"auths":`, 20000)), oci.Malformed},
		"AUTH-4: a huge one":                    {raw("broken", `{"auths": {"s3cret": {}}}`+strings.Repeat(" ", 1<<20)), oci.TooLarge},
		"AUTH-4: more registries than anyone's": {secret("broken", many...), oci.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := pullsecret.Credentials("shop", []pullsecret.Secret{tt.secret})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), `secret "broken"`) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %s that names the Secret and quotes none of it", err, tt.want)
			}
			if diff := cmp.Diff(oci.Credentials{}, c); diff != "" {
				t.Errorf("credentials beside a refusal (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzCredentials: nothing in a Secret breaks its reader, or is quoted by it.
func FuzzCredentials(f *testing.F) {
	f.Add([]byte(`{"auths": {"https://r.example/v1/": {"auth": "dTpw"}}}`))
	f.Add([]byte(`{"auths": {"*.example/a": {"username": "u", "password": "p", "identitytoken": "t"}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		for key, of := range map[string]string{".dockerconfigjson": pullsecret.TypeConfigJSON, ".dockercfg": pullsecret.TypeConfig} {
			c, err := pullsecret.Credentials("n", []pullsecret.Secret{{Name: "a", Type: of, Data: map[string][]byte{key: content}}})
			if err != nil || c.Keychain == nil {
				continue
			}
			_ = user(t, c, "r.example/a/b")
		}
	})
}
