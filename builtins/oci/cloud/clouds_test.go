//go:build !nocloud

package cloud_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// Not one of these tests is parallel: the libraries of the clouds read the environment.

const ecrHost = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"

// amazon has STS take a token of a service account, and ECR sell a password for what STS gave.
func amazon(t *testing.T, in *internet) {
	t.Helper()
	clearEnvironment(t)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/assay")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file(t, "service-account-token"))
	in.is("sts.eu-central-1.amazonaws.com", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("Action") != "AssumeRoleWithWebIdentity" || r.PostFormValue("WebIdentityToken") != "service-account-token" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>example</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`))
	})
	in.is("api.ecr.eu-central-1.amazonaws.com", ecrAnswers("AWS:ecr-password", 12*time.Hour))
	in.is(ecrHost, registry(`Basic realm="https://`+ecrHost+`/",service="ecr.amazonaws.com"`, basic("AWS", "ecr-password")))
}

// ecrAnswers is GetAuthorizationToken, for whoever signs with the keys of the role.
func ecrAnswers(token string, valid time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetAuthorizationToken") || !strings.Contains(r.Header.Get("Authorization"), "Credential=ASIAEXAMPLE/") {
			http.Error(w, "{}", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		one := map[string]any{
			"authorizationToken": base64.StdEncoding.EncodeToString([]byte(token)), "expiresAt": float64(time.Now().Add(valid).Unix()),
			"proxyEndpoint": "https://999999999999.dkr.ecr.eu-central-1.amazonaws.com",
		}
		if strings.Contains(r.Host, "public") {
			reply(w, map[string]any{"authorizationData": one})
			return
		}
		reply(w, map[string]any{"authorizationData": []any{one}})
	}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestECR(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	client, credentials := in.client(t, []string{ecrHost})
	for _, repository := range []string{"/acme/app:v1", "/acme/other:v1"} {
		if _, err := client.Resolve(t.Context(), credentials, ecrHost+repository); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"GET " + ecrHost + "/v2/", "GET " + ecrHost + "/v2/",
		"GET " + ecrHost + "/v2/acme/app/manifests/v1 with credentials", "GET " + ecrHost + "/v2/acme/other/manifests/v1 with credentials",
		"POST api.ecr.eu-central-1.amazonaws.com/ with credentials", "POST sts.eu-central-1.amazonaws.com/",
	}
	if diff := cmp.Diff(want, in.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestECRFromANode has the metadata service of EC2 know the role, for whoever asks in its second version.
func TestECRFromANode(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	for _, name := range []string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	in.is("169.254.169.254", func(w http.ResponseWriter, r *http.Request) {
		const role = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
			_, _ = w.Write([]byte("session"))
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "session":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == role:
			_, _ = w.Write([]byte("node"))
		case r.URL.Path == role+"node":
			reply(w, map[string]any{"Code": "Success", "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "example", "Token": "session", "Expiration": "2100-01-01T00:00:00Z"})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	client, credentials := in.client(t, []string{ecrHost})
	if _, err := client.Resolve(t.Context(), credentials, ecrHost+"/acme/app:v1"); err != nil {
		t.Errorf("got %v, after %q", err, in.requests())
	}
}

// TestECRFIPS asks the endpoint that the name of the registry says.
func TestECRFIPS(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	t.Setenv("AWS_REGION", "eu-central-1") // that of STS; the host's is for ECR
	const host = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
	in.is("api.ecr-fips.us-east-1.amazonaws.com", ecrAnswers("AWS:fips-password", time.Hour))
	in.is(host, registry(`Basic realm="ecr"`, basic("AWS", "fips-password")))
	client, credentials := in.client(t, []string{host})
	if _, err := client.Resolve(t.Context(), credentials, host+"/acme/app:v1"); err != nil {
		t.Errorf("got %v, after %q", err, in.requests())
	}
}

func TestECRPublic(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	t.Setenv("AWS_REGION", "eu-central-1")
	const host = "public.ecr.aws"
	in.is("api.ecr-public.us-east-1.amazonaws.com", ecrAnswers("AWS:public-password", time.Hour))
	in.is(host, tokenRegistry(host, "/token/", func(r *http.Request) bool {
		return r.Method == http.MethodGet && r.Header.Get("Authorization") == basic("AWS", "public-password")
	}))
	client, credentials := in.client(t, []string{host})
	if _, err := client.Resolve(t.Context(), credentials, host+"/acme/app:v1"); err != nil {
		t.Errorf("got %v, after %q", err, in.requests())
	}
}

// tokenRegistry sells tokens of its own on a path of itself.
func tokenRegistry(host, path string, admits func(*http.Request) bool) http.HandlerFunc {
	serve := registry(`Bearer realm="https://`+host+path+`",service="`+host+`"`, "Bearer registry-token")
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != path:
			serve(w, r)
		case admits(r):
			reply(w, map[string]any{"token": "registry-token"})
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

const googleHost = "europe-west3-docker.pkg.dev"

// google has a metadata server, and a registry that takes its token.
func google(t *testing.T, in *internet, answers http.HandlerFunc) {
	t.Helper()
	clearEnvironment(t)
	metadata := httptest.NewServer(answers)
	t.Cleanup(metadata.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	in.is(googleHost, tokenRegistry(googleHost, "/v2/token", func(r *http.Request) bool {
		return r.Method == http.MethodGet && r.Header.Get("Authorization") == basic("oauth2accesstoken", "google-token")
	}))
}

// metadataServer is that of the compute engine, as far as it is asked here.
func metadataServer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/token" ||
		r.URL.Query().Get("scopes") != "https://www.googleapis.com/auth/devstorage.read_only" {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	reply(w, map[string]any{"access_token": "google-token", "expires_in": 3599, "token_type": "Bearer"})
}

func TestArtifactRegistry(t *testing.T) {
	in := newInternet(t)
	google(t, in, metadataServer)
	client, credentials := in.client(t, []string{googleHost})
	if _, err := client.Resolve(t.Context(), credentials, googleHost+"/acme/repo/app:v1"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET " + googleHost + "/v2/", "GET " + googleHost + "/v2/acme/repo/app/manifests/v1 with credentials", "GET " + googleHost + "/v2/token with credentials",
	}
	if diff := cmp.Diff(want, in.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestArtifactRegistryByAKey has the token endpoint take what the key of a service account signed.
func TestArtifactRegistryByAKey(t *testing.T) {
	in := newInternet(t)
	google(t, in, metadataServer)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, serviceAccount(t)))
	in.is("oauth2.googleapis.com", func(w http.ResponseWriter, r *http.Request) {
		var claims struct {
			jwt.RegisteredClaims
			Scope string `json:"scope"`
		}
		_, _, err := jwt.NewParser().ParseUnverified(r.PostFormValue("assertion"), &claims)
		if err != nil || claims.Scope != "https://www.googleapis.com/auth/devstorage.read_only" || claims.Issuer != "assay@acme.iam.gserviceaccount.com" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		reply(w, map[string]any{"access_token": "google-token", "expires_in": 3599, "token_type": "Bearer"})
	})
	client, credentials := in.client(t, []string{googleHost})
	if _, err := client.Resolve(t.Context(), credentials, googleHost+"/acme/repo/app:v1"); err != nil {
		t.Errorf("got %v, after %q", err, in.requests())
	}
}

// serviceAccount is the file of a key.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "acme", "private_key_id": "1", "client_email": "assay@acme.iam.gserviceaccount.com", "client_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://oauth2.googleapis.com/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const acrHost = "acmecorp.azurecr.io"

// microsoft has Entra ID take a token of a service account, and a registry exchange what Entra gave.
func microsoft(t *testing.T, in *internet, host string) {
	t.Helper()
	clearEnvironment(t)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file(t, "service-account-token"))
	t.Setenv("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111")
	t.Setenv("AZURE_TENANT_ID", "22222222-2222-2222-2222-222222222222")
	for _, login := range []string{"login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us"} {
		in.is(login, entra(login))
	}
	in.is(host, acrAnswers(t, host, 3*time.Hour))
}

// entra sells a token for registries, and for nothing else.
func entra(login string) http.HandlerFunc {
	const tenant = "/22222222-2222-2222-2222-222222222222"
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
			reply(w, map[string]any{
				"token_endpoint": "https://" + login + tenant + "/oauth2/v2.0/token", "authorization_endpoint": "https://" + login + tenant + "/oauth2/v2.0/authorize",
				"issuer": "https://" + login + tenant + "/v2.0",
			})
		case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
			reply(w, map[string]any{"tenant_discovery_endpoint": "https://" + login + tenant + "/v2.0/.well-known/openid-configuration", "metadata": []any{
				map[string]any{"preferred_network": login, "preferred_cache": login, "aliases": []string{login}},
			}})
		case r.PostFormValue("client_assertion") == "service-account-token" && strings.Contains(r.PostFormValue("scope"), "https://containerregistry.azure.net/.default"):
			reply(w, map[string]any{"access_token": "entra-token", "expires_in": 3599, "token_type": "Bearer"})
		default:
			w.WriteHeader(http.StatusUnauthorized)
			reply(w, map[string]any{"error": "invalid_client", "error_description": "AADSTS700016: s3cret details"})
		}
	}
}

// acrAnswers exchanges tokens as the registry does.
func acrAnswers(t *testing.T, host string, valid time.Duration) http.HandlerFunc {
	t.Helper()
	refresh, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": time.Now().Add(valid).Unix(), "aud": host}).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	serve := registry(`Bearer realm="https://`+host+`/oauth2/token",service="`+host+`"`, "Bearer registry-token")
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/oauth2/exchange":
			if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "access_token" || r.PostFormValue("service") != host || r.PostFormValue("access_token") != "entra-token" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			reply(w, map[string]any{"refresh_token": refresh})
		case "/oauth2/token":
			if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("refresh_token") != refresh {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			reply(w, map[string]any{"access_token": "registry-token"})
		default:
			serve(w, r)
		}
	}
}

func TestACR(t *testing.T) {
	for _, tt := range []struct{ host, login string }{
		{acrHost, "login.microsoftonline.com"}, {"acmecorp.azurecr.cn", "login.chinacloudapi.cn"}, {"acmecorp.azurecr.us", "login.microsoftonline.us"},
	} {
		t.Run(tt.host, func(t *testing.T) {
			in := newInternet(t)
			microsoft(t, in, tt.host)
			client, credentials := in.client(t, []string{tt.host})
			for _, repository := range []string{"/acme/app:v1", "/acme/other:v1"} {
				if _, err := client.Resolve(t.Context(), credentials, tt.host+repository); err != nil {
					t.Fatalf("got %v, after %q", err, in.requests())
				}
			}
			if got := in.to("POST " + tt.login + "/22222222-2222-2222-2222-222222222222/oauth2/v2.0/token"); got != 1 {
				t.Errorf("got %d requests to Entra ID for a token, want 1", got)
			}
			if got := in.to("POST " + tt.host + "/oauth2/exchange"); got != 1 {
				t.Errorf("got %d exchanges, want 1", got)
			}
			if got := in.to("POST " + tt.host + "/oauth2/token"); got != 2 {
				t.Errorf("got %d tokens of the registry, want 2: one for each repository", got)
			}
		})
	}
}

// TestACRFromANode has the metadata service of Azure know the identity that is asked for.
func TestACRFromANode(t *testing.T) {
	in := newInternet(t)
	microsoft(t, in, acrHost)
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID"} {
		t.Setenv(name, "")
	}
	in.is("169.254.169.254", func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query()
		if r.Header.Get("Metadata") != "true" || r.URL.Path != "/metadata/identity/oauth2/token" ||
			asked.Get("resource") != "https://containerregistry.azure.net" || asked.Get("client_id") != "11111111-1111-1111-1111-111111111111" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		reply(w, map[string]any{"access_token": "entra-token", "expires_in": "86399", "resource": asked.Get("resource"), "token_type": "Bearer"})
	})
	client, credentials := in.client(t, []string{acrHost})
	if _, err := client.Resolve(t.Context(), credentials, acrHost+"/acme/app:v1"); err != nil {
		t.Errorf("got %v, after %q", err, in.requests())
	}
	if got := in.to("POST login."); got != 0 {
		t.Errorf("got %d requests to Entra ID, want none", got)
	}
}

// TestACRBySecret has Entra ID take the secret of an application.
func TestACRBySecret(t *testing.T) {
	in := newInternet(t)
	microsoft(t, in, acrHost)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
	t.Setenv("AZURE_CLIENT_SECRET", "application-secret")
	login := entra("login.microsoftonline.com")
	in.is("login.microsoftonline.com", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("client_secret") == "application-secret" && strings.Contains(r.PostFormValue("scope"), "https://containerregistry.azure.net/.default") {
			reply(w, map[string]any{"access_token": "entra-token", "expires_in": 3599, "token_type": "Bearer"})
			return
		}
		login(w, r)
	})
	client, credentials := in.client(t, []string{acrHost})
	if _, err := client.Resolve(t.Context(), credentials, acrHost+"/acme/app:v1"); err != nil {
		t.Errorf("got %v, after %q", err, in.requests())
	}
}
