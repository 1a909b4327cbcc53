//go:build !nocloud

package cloud_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/cloud"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
)

// TestNoTokenForAHostThatIsNotListed (CVE-2025-27403): neither for a stranger's registry of the same cloud, nor for one
// that looks like ours. It is asked anonymously, and no cloud hears of it.
func TestNoTokenForAHostThatIsNotListed(t *testing.T) {
	in := newInternet(t)
	microsoft(t, in, acrHost)
	client, credentials := in.client(t, []string{acrHost})
	for _, host := range []string{"evilcorp.azurecr.io", "evil-azurecr.io", acrHost + ".evil.example", acrHost + ":8443", acrHost + ":443"} {
		in.is(host, acrAnswers(t, host, time.Hour))
		if _, err := client.Resolve(t.Context(), credentials, host+"/acme/app:v1"); !errors.Is(err, oci.Unauthorized) {
			t.Errorf("%s: got %v, want unauthorized", host, err)
		}
		for _, line := range in.requests() {
			if strings.Contains(line, "login.") || strings.Contains(line, "exchange") || strings.Contains(line, "with credentials") {
				t.Errorf("%s: got request %q", host, line)
			}
		}
	}
}

// TestTokensGoNowhereElse: whatever the registry answers, no other host is sent what opens it.
func TestTokensGoNowhereElse(t *testing.T) {
	const elsewhere = "https://evil.example/take"
	redirect := func(path string, otherwise http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect) // with the method and the body
				return
			}
			otherwise(w, r)
		}
	}
	for _, tt := range []struct {
		name string
		acr  func(http.HandlerFunc) http.HandlerFunc
		want error
	}{
		{"the exchange is redirected", func(acr http.HandlerFunc) http.HandlerFunc { return redirect("/oauth2/exchange", acr) }, oci.Unauthorized},
		{"the token realm is redirected", func(acr http.HandlerFunc) http.HandlerFunc { return redirect("/oauth2/token", acr) }, oci.ForbiddenHost},
		{"the ping is redirected", func(acr http.HandlerFunc) http.HandlerFunc { return redirect("/v2/", acr) }, oci.ForbiddenHost},
		{"the token realm is elsewhere", func(acr http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					registry(`Bearer realm="`+elsewhere+`",service="`+acrHost+`"`, "nobody's")(w, r)
					return
				}
				acr(w, r)
			}
		}, oci.ForbiddenHost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newInternet(t)
			microsoft(t, in, acrHost)
			in.is(acrHost, tt.acr(acrAnswers(t, acrHost, time.Hour)))
			client, credentials := in.client(t, []string{acrHost})
			if _, err := client.Resolve(t.Context(), credentials, acrHost+"/acme/app:v1"); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			for _, line := range in.requests() {
				if strings.Contains(line, "evil.example") {
					t.Errorf("got request %q", line)
				}
			}
		})
	}
}

// TestContentElsewhereIsAskedForWithoutAToken: registries of clouds redirect to their storage.
func TestContentElsewhereIsAskedForWithoutAToken(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	serve := registry(`Basic realm="ecr"`, basic("AWS", "ecr-password"))
	in.is(ecrHost, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, "https://bucket.s3.eu-central-1.amazonaws.com/blob?X-Amz-Signature=1", http.StatusTemporaryRedirect)
			return
		}
		serve(w, r)
	})
	in.is("bucket.s3.eu-central-1.amazonaws.com", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	client, credentials := in.client(t, []string{ecrHost})
	const digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	if _, err := client.Blob(t.Context(), credentials, ecrHost+"/acme/app@"+digest); err != nil {
		t.Fatal(err)
	}
	if got := in.requests(); !slices.Contains(got, "GET bucket.s3.eu-central-1.amazonaws.com/blob") {
		t.Errorf("got requests %q, want one to the storage, without credentials", got)
	}
}

// TestTheWorkloadsOwnCredentialsComeFirst: where there are some, no cloud is asked.
func TestTheWorkloadsOwnCredentialsComeFirst(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	in.is(ecrHost, registry(`Basic realm="ecr"`, basic("AWS", "of-the-workload")))
	client, behind := in.client(t, []string{ecrHost})
	own, err := pullsecret.Credentials("shop", []pullsecret.Secret{{Name: "pull", Type: pullsecret.TypeConfigJSON, Data: map[string][]byte{
		".dockerconfigjson": []byte(`{"auths": {"` + ecrHost + `": {"username": "AWS", "password": "of-the-workload"}}}`),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resolve(t.Context(), pullsecret.Before(own, behind), ecrHost+"/acme/app:v1"); err != nil {
		t.Fatal(err)
	}
	if got := in.to("POST "); got != 0 {
		t.Errorf("got %d requests to the cloud, want none", got)
	}
}

// TestWithoutATokenNobodyIsAsked: what a cloud refuses is said with its name and the host's, and is no anonymous
// request. What it said besides is for the installation alone.
func TestWithoutATokenNobodyIsAsked(t *testing.T) {
	says := func(status int, header, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", header)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	const ecr, sts = "api.ecr.eu-central-1.amazonaws.com", "sts.eu-central-1.amazonaws.com"
	for _, tt := range []struct {
		name, host string
		broken     func(*testing.T, *internet)
		want       oci.Code
		message    string
	}{
		{"ECR: a role that may not", ecrHost, func(_ *testing.T, in *internet) {
			in.is(ecr, says(400, "AccessDeniedException", `{"message":"s3cret role"}`))
		}, oci.Unauthorized, "credentials of ECR for " + ecrHost + ": got status 400 (AccessDeniedException), want a token"},
		{"ECR: too many requests", ecrHost, func(_ *testing.T, in *internet) {
			in.is(ecr, says(400, "ThrottlingException", `{}`))
		}, oci.RateLimited, "got status 400 (ThrottlingException), want a token"},
		{"ECR: out of order", ecrHost, func(_ *testing.T, in *internet) { in.is(ecr, says(503, "", ``)) }, oci.Unreachable, "got status 503"},
		{"ECR: a reason that is a text", ecrHost, func(_ *testing.T, in *internet) {
			in.is(ecr, says(403, "s3cret text", `{}`))
		}, oci.Unauthorized, "got status 403, want a token"},
		{"ECR: no token in the answer", ecrHost, func(_ *testing.T, in *internet) {
			in.is(ecr, says(200, "", `{"authorizationData":[]}`))
		}, oci.Malformed, "got an answer without a token"},
		{"ECR: a token that is none", ecrHost, func(_ *testing.T, in *internet) {
			in.is(ecr, says(200, "", `{"authorizationData":[{"authorizationToken":"s3cret"}]}`))
		}, oci.Malformed, "got an answer without a token"},
		{"ECR: STS refuses", ecrHost, func(_ *testing.T, in *internet) {
			in.is(sts, says(403, "", `<ErrorResponse><Error><Code>AccessDenied</Code><Message>s3cret</Message></Error></ErrorResponse>`))
		}, oci.Unauthorized, "got status 403 (AccessDenied), want a token"},
		{"ECR: nothing in the environment", ecrHost, func(t *testing.T, _ *internet) { clearEnvironment(t) }, oci.Unauthorized, "got nothing in the environment to ask with"},
		{"ACR: Entra ID refuses", acrHost, func(t *testing.T, _ *internet) {
			t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file(t, "another-token"))
		}, oci.Unauthorized, "credentials of ACR for " + acrHost + ": got status 401, want a token"},
		{"ACR: half of an identity", acrHost, func(t *testing.T, _ *internet) { t.Setenv("AZURE_TENANT_ID", "") }, oci.Unauthorized, "got nothing in the environment to ask with"},
		{"ACR: the registry refuses", acrHost, func(_ *testing.T, in *internet) { in.is(acrHost, says(401, "", "s3cret")) }, oci.Unauthorized, "got status 401"},
		{"ACR: the registry is out of order", acrHost, func(_ *testing.T, in *internet) { in.is(acrHost, says(502, "", "s3cret")) }, oci.Unreachable, "got status 502"},
		{"ACR: the exchange gives no token", acrHost, func(_ *testing.T, in *internet) { in.is(acrHost, says(200, "", `{"refresh_token":""}`)) }, oci.Malformed, "without a token"},
		{"ACR: the exchange gives no JSON", acrHost, func(_ *testing.T, in *internet) { in.is(acrHost, says(200, "", `s3cret`)) }, oci.Malformed, "without a token"},
		{"ACR: the exchange does not end", acrHost, func(_ *testing.T, in *internet) {
			in.is(acrHost, says(200, "", `{"refresh_token":"`+strings.Repeat("s3cret", 1<<17)+`"}`))
		}, oci.TooLarge, "credentials of ACR"},
		{"Google: a node without an account", googleHost, func(t *testing.T, in *internet) {
			google(t, in, says(404, "", "s3cret"))
		}, oci.Unauthorized, "credentials of Artifact Registry for " + googleHost + ": got nothing in the environment to ask with"},
		{"Google: a scope that is not given", googleHost, func(t *testing.T, in *internet) {
			google(t, in, says(403, "", "s3cret"))
		}, oci.Unauthorized, "got status 403, want a token"},
		{"Google: an answer that is none", googleHost, func(t *testing.T, in *internet) {
			google(t, in, says(200, "", "s3cret"))
		}, oci.Malformed, "got an answer without a token"},
		{"Google: a file that is not there", googleHost, func(t *testing.T, _ *internet) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/absent/s3cret.json")
		}, oci.Unauthorized, "got nothing in the environment to ask with"},
		{"Google: the key of an account that is gone", googleHost, func(t *testing.T, in *internet) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, serviceAccount(t)))
			in.is("oauth2.googleapis.com", says(400, "", `{"error":"invalid_grant","error_description":"s3cret"}`))
		}, oci.Unauthorized, "got status 400, want a token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newInternet(t)
			switch tt.host {
			case ecrHost:
				amazon(t, in)
			case googleHost:
				google(t, in, metadataServer)
			default:
				microsoft(t, in, tt.host)
			}
			t.Setenv("AWS_MAX_ATTEMPTS", "1")
			tt.broken(t, in)
			var told []error
			client, credentials := in.client(t, []string{tt.host}, func(o *cloud.Options) { o.Failed = func(err error) { told = append(told, err) } })
			_, err := client.Resolve(t.Context(), credentials, tt.host+"/acme/app:v1")
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.message) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %s with %q and nothing that is secret", err, tt.want, tt.message)
			}
			failure := (*cloud.Failure)(nil)
			if !errors.As(err, &failure) || failure.Host != tt.host || len(told) != 1 || strings.ContainsAny(told[0].Error(), "\r\n") {
				t.Errorf("got failure %v and told %q, want the host and one line", failure, told)
			}
			if n := in.to("GET " + tt.host + "/v2/"); n != 0 {
				t.Errorf("got %d requests to the registry, want none", n)
			}
		})
	}
}

// TestACloudThatStallsCostsOneDeadline for all who wait for it.
func TestACloudThatStallsCostsOneDeadline(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	in.is("api.ecr.eu-central-1.amazonaws.com", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server looks for the end of the connection after that of the body
		<-r.Context().Done()
	})
	client, credentials := in.client(t, []string{ecrHost}, func(o *cloud.Options) { o.Timeout = 2 * time.Second })
	var wait sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		wait.Go(func() {
			_, err := client.Resolve(t.Context(), credentials, ecrHost+"/acme/"+name+":v1")
			if want := "credentials of ECR for " + ecrHost + ": got no answer in time"; !errors.Is(err, oci.Timeout) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want timeout with %q", err, want)
			}
		})
	}
	wait.Wait()
	if got := in.to("POST api.ecr"); got != 1 {
		t.Errorf("got %d requests to ECR, want 1", got)
	}
}

// TestATokenServesUntilItExpires, and on for as long as it is valid where there is no new one.
func TestATokenServesUntilItExpires(t *testing.T) {
	in := newInternet(t)
	amazon(t, in)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	begin, passed := time.Now(), time.Duration(0)
	in.now = func() time.Time { return begin.Add(passed) }
	_, credentials := in.client(t, []string{ecrHost})
	const ecr = "api.ecr.eu-central-1.amazonaws.com"
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	denied := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type": "AccessDeniedException", "message": "not authorized"}`))
	}
	undated := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = fmt.Fprintf(w, `{"authorizationData": [{"authorizationToken": %q}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:ecr-password")))
	}
	for _, step := range []struct {
		name    string
		passed  time.Duration
		answers http.HandlerFunc
		asks    int
		want    error
	}{
		{"the first", 0, ecrAnswers("AWS:ecr-password", 30*time.Minute), 1, nil},
		{"while it is valid", 27 * time.Minute, refuse, 0, nil},
		{"shortly before it expires, and the cloud is down", 28*time.Minute + 10*time.Second, refuse, 1, nil},
		{"just after that", 28*time.Minute + 15*time.Second, refuse, 0, nil},
		{"a little later", 28*time.Minute + 25*time.Second, refuse, 1, nil},
		{"when it expires", 29*time.Minute + 30*time.Second, refuse, 1, oci.Unreachable},
		{"and the cloud is up again: twelve hours", 31 * time.Minute, ecrAnswers("AWS:ecr-password", 12*time.Hour), 1, nil},
		{"which serve for one", 90 * time.Minute, refuse, 0, nil},
		{"after that hour there is a new one", 92 * time.Minute, ecrAnswers("AWS:ecr-password", 12*time.Hour), 1, nil},
		{"the role lost its rights: what it was given before is good for hours, and gone", 153 * time.Minute, denied, 1, oci.Unauthorized},
		{"also while the cloud is down next", 154 * time.Minute, refuse, 1, oci.Unreachable},
		{"a token that does not say how long it is good", 155 * time.Minute, undated, 1, nil},
		{"serves once", 155 * time.Minute, undated, 1, nil},
		{"and not while the cloud is down", 155 * time.Minute, refuse, 1, oci.Unreachable},
	} {
		passed = step.passed
		in.is(ecr, step.answers)
		in.requests()
		_, err := in.asks(t).Resolve(t.Context(), credentials, ecrHost+"/acme/app:v1") // a session of its own
		if !errors.Is(err, step.want) || step.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
		if got := in.to("POST " + ecr); got != step.asks {
			t.Errorf("%s: got %d requests for a token, want %d", step.name, got, step.asks)
		}
	}
}

// TestACRNeedsAWayToItsRegistries that is guarded: there is none by default.
func TestACRNeedsAWayToItsRegistries(t *testing.T) {
	t.Parallel()
	if _, err := cloud.Credentials([]string{acrHost}, cloud.Options{}); err == nil {
		t.Error("got credentials, want an error")
	}
}

// TestTokensAreSharedUnderOneName: whoever lists other hosts is somebody else.
func TestTokensAreSharedUnderOneName(t *testing.T) {
	t.Parallel()
	var got []string
	for _, hosts := range [][]string{{ecrHost, acrHost}, {acrHost, ecrHost, acrHost}, {acrHost}, nil} {
		credentials, err := cloud.Credentials(hosts, cloud.Options{Registry: func(string) http.RoundTripper { return http.DefaultTransport }})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, credentials.ID)
	}
	want := []string{`clouds ["` + ecrHost + `" "` + acrHost + `"]`, `clouds ["` + ecrHost + `" "` + acrHost + `"]`, `clouds ["` + acrHost + `"]`, ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("IDs (-want +got):\n%s", diff)
	}
}
