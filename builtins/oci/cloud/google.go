//go:build !nocloud

package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/compute/metadata"
	"github.com/google/go-containerregistry/pkg/authn"
)

// readStorage is the narrowest scope that opens images: it reads repositories and buckets, and nothing else that the
// service account may do.
// https://cloud.google.com/artifact-registry/docs/integrate-compute
const readStorage = "https://www.googleapis.com/auth/devstorage.read_only"

// google asks for whom application default credentials in a file stand, else the metadata server.
func (o Options) google(ctx context.Context, _ host) (token, error) {
	if !fileOfGoogle() {
		return fromMetadata(ctx)
	}
	found, err := credentials.DetectDefault(&credentials.DetectOptions{
		Scopes: []string{readStorage}, DisableAsyncRefresh: true, Client: o.client(),
	})
	if err != nil {
		return token{}, err
	}
	got, err := found.Token(ctx)
	if err != nil {
		return token{}, googleAnswer(err)
	}
	return googleToken(got.Value, got.Expiry)
}

// fileOfGoogle reports whether the library would find a file. Where it finds none it asks once in the life of a process
// whether there is a metadata server, and that of GKE is up some seconds after the first Pods of a node.
func fileOfGoogle() bool {
	if os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "" {
		return true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"))
	return err == nil
}

// fromMetadata gets the token of the workload, or of the node.
func fromMetadata(ctx context.Context) (token, error) {
	query := url.Values{"scopes": {readStorage}}
	text, err := metadata.GetWithContext(ctx, "instance/service-accounts/default/token?"+query.Encode())
	if err != nil {
		return token{}, googleAnswer(err)
	}
	var got struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
	}
	if json.Unmarshal([]byte(text), &got) != nil { // the error might quote it
		return token{}, errNoToken
	}
	return googleToken(got.Token, time.Now().Add(time.Duration(got.Seconds)*time.Second))
}

func googleToken(text string, expires time.Time) (token, error) {
	if text == "" {
		return token{}, errNoToken
	}
	return token{auth: authn.AuthConfig{Username: "oauth2accesstoken", Password: text}, expires: expires}, nil
}

func googleAnswer(err error) error {
	out := &answered{err: err}
	if refused := (*auth.Error)(nil); errors.As(err, &refused) && refused.Response != nil {
		out.status = refused.Response.StatusCode
	}
	if refused := (*metadata.Error)(nil); errors.As(err, &refused) {
		out.status = refused.Code
	}
	return out
}
