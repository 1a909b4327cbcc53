package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// mostGroups bounds what an API server says of its groups. A hundred take 50 KB.
const mostGroups = 4 << 20

// Server is what an API server says of itself.
type Server struct {
	// Date is its clock, in whole seconds, at some moment between Asked and Answered.
	Date, Asked, Answered time.Time
	// Groups are those that it serves, but for the core group.
	Groups []string
}

// Ask asks the API server for its groups and its clock. kubeconfig is that of [Connect].
func Ask(ctx context.Context, kubeconfig, userAgent string) (Server, error) {
	config, err := configuration(kubeconfig)
	if err != nil {
		return Server{}, err
	}
	config.UserAgent = userAgent
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return Server{}, fmt.Errorf("cluster: %w", err)
	}
	at, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return Server{}, fmt.Errorf("cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.JoinPath("apis").String(), nil)
	if err != nil {
		return Server{}, fmt.Errorf("cluster: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	return answer(client, request)
}

func answer(client *http.Client, request *http.Request) (out Server, err error) {
	out.Asked = time.Now()
	response, err := client.Do(request)
	if err != nil {
		return Server{}, fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // what was only read loses nothing
	out.Answered = time.Now()
	if response.StatusCode != http.StatusOK {
		return Server{}, fmt.Errorf("cluster: %s: got %s", request.URL, response.Status)
	}
	if out.Date, err = http.ParseTime(response.Header.Get("Date")); err != nil {
		return Server{}, fmt.Errorf("cluster: %s: Date: %w", request.URL, err)
	}
	var groups metav1.APIGroupList
	if err := json.NewDecoder(io.LimitReader(response.Body, mostGroups)).Decode(&groups); err != nil {
		return Server{}, fmt.Errorf("cluster: %s: %w", request.URL, err)
	}
	for _, group := range groups.Groups {
		out.Groups = append(out.Groups, group.Name)
	}
	return out, nil
}
