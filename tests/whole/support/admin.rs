//! The pages that a node shows only its admin.

use antiphon::logic::policy::explain::{Explanation, Prediction};

use super::http;
use super::node::TestNode;
use super::patience::{PATIENCE, eventually};

impl TestNode {
    /// The admin password that it has shown, if it has made one.
    pub(crate) fn shown_admin_password(&self) -> Option<String> {
        let log = self.log();
        let shown = |line: &str| line.split("shown this once: ").nth(1).map(str::to_owned);
        log.lines().find_map(shown)
    }

    /// Waits until it shows the admin password that it has made.
    pub(crate) fn wait_admin_password(&self) -> String {
        let what = format!("{} shows an admin password", self.name());
        let look = || self.shown_admin_password().ok_or("not yet");
        eventually(PATIENCE, &what, look).0
    }

    /// How it answers a login as the admin.
    pub(crate) fn admin_status(&self, password: &str) -> u16 {
        let (address, login) = (self.address(), http::basic("admin", password));
        let request = format!(
            "GET /api/v1/mounts HTTP/1.1\r\nHost: {address}\r\nAuthorization: {login}\r\n\r\n"
        );
        http::ask(&address, &request).unwrap().head.status
    }

    /// The forecast for each node that may serve listeners of a mount, in the order of names.
    pub(crate) fn predictions(&self, mount: &str) -> Vec<Prediction> {
        let target = format!("/api/v1/explain?mount={mount}");
        let answer = self.api("GET", &target, "").unwrap();
        let explanation: Explanation = serde_json::from_slice(&answer.body).unwrap();
        explanation
            .nodes
            .into_iter()
            .map(|it| it.prediction)
            .collect()
    }
}
