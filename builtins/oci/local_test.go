package oci_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/builtins/oci"
)

// TestWebhookCredentialsAskNoHelperForHostsThatAreNotListed cannot be parallel: it sets the environment.
func TestWebhookCredentialsAskNoHelperForHostsThatAreNotListed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{
		"auths": {
			"ghcr.io": {"auth": "YWxpY2U6c2VjcmV0"},
			"https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldA=="}
		},
		"credHelpers": {"helped.example": "one"},
		"credsStore": "all"
	}`)
	for _, helper := range []string{"one", "all"} {
		write(t, filepath.Join(dir, "docker-credential-"+helper), "#!/bin/sh\nread host\necho $host >>"+dir+"/asked\n"+
			`echo '{"ServerURL":"x","Username":"of-`+helper+`","Secret":"s"}'`)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_AUTH_CONFIG", "")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for repo, want := range map[string]string{
		"ghcr.io/org/app": "alice", "index.docker.io/library/nginx": "hub", "helped.example/app": "of-one",
		"evil.example/app": "", "ghcr.io.evil.example/app": "", "sub.helped.example/app": "",
	} {
		r, err := name.NewRepository(repo)
		if err != nil {
			t.Fatal(err)
		}
		found, err := oci.WebhookCredentials().Keychain.Resolve(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := authn.Authorization(t.Context(), found)
		if err != nil || got.Username != want {
			t.Errorf("%s: got user %q and error %v, want %q", repo, got.Username, err, want)
		}
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil || string(asked) != "helped.example\n" && string(asked) != "helped.example/app\nhelped.example\n" {
		t.Errorf("got helpers asked about %q and error %v, want the listed host alone", asked, err)
	}
}

// AUTH-2: a configuration that cannot be read denies, and names the registry.
func TestRefuseDockerConfigurationThatIsNone(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), "{")
	t.Setenv("DOCKER_CONFIG", dir)
	_, err := newClient(t).Signatures(t.Context(), oci.WebhookCredentials(), "example.com/app@"+describe("", nil).Digest, oci.Place{})
	mustRefuse(t, err, oci.Unauthorized, "example.com")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// AUTH-1: the installation's own docker configuration gives the credentials.
// TestWebhookCredentialsOfAPathAreForThatPath alone, the longest first.
func TestWebhookCredentialsOfAPathAreForThatPath(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"auths": {
		"ghcr.io/org-a": {"username": "a", "password": "s"}, "ghcr.io/org-b": {"username": "b", "password": "s"},
		"ghcr.io/org-b/deep": {"username": "deep", "password": "s"}
	}}`)
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_AUTH_CONFIG", "")
	for range 20 { // an answer that depends on the order of a map would differ
		for repo, want := range map[string]string{
			"ghcr.io/org-a/app": "a", "ghcr.io/org-b/app": "b", "ghcr.io/org-b/deep/app": "deep", "ghcr.io/org-c/app": "", "ghcr.io/org-ab/app": "",
		} {
			r, err := name.NewRepository(repo)
			if err != nil {
				t.Fatal(err)
			}
			found, err := oci.WebhookCredentials().Keychain.Resolve(r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := authn.Authorization(t.Context(), found); err != nil || got.Username != want {
				t.Fatalf("%s: got user %q and error %v, want %q", repo, got.Username, err, want)
			}
		}
	}
}
