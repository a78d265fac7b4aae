//! Stock Icecast servers with real sources: what radios have beside a mesh.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http::{basic, get, get_as};
use super::patience::{PATIENCE, eventually, so};
use super::port::free_port;

/// The folder in which distributions put the pages of Icecast.
const PAGES: &str = "/usr/share/icecast2";
/// The password of its sources.
pub(crate) const PASSWORD: &str = "source-pw";
/// How long a start may take, of which it needs a twentieth.
const STARTED: Duration = Duration::from_secs(5);
/// How often it is started again.
const STARTS: u32 = 3;

/// The password with which its slaves read the list of its streams, as the user `relay`.
pub(crate) const RELAY_PASSWORD: &str = "relay-pw";

/// The login that the pages of its admin want.
pub(crate) const LOGIN: &str = "admin:admin-pw";

/// A running server with a source on each of its mounts. Dropping it kills all of them.
#[derive(Debug)]
pub(crate) struct Icecast {
    port: u16,
    home: TempDir,
    server: Child,
    sources: Vec<Child>,
}

impl Icecast {
    /// Starts one that takes `clients`, sources included, and waits until these mounts are on air; each may have a
    /// limit of its own.
    pub(crate) fn start(clients: u32, mounts: &[(&str, Option<u32>)]) -> Self {
        Self::start_with(clients, mounts, "")
    }

    /// Starts one without sources that is the slave of the server at `HOST:PORT`, and asks every two seconds which streams
    /// there are.
    pub(crate) fn slave_of(master: &str, password: &str, on_demand: bool) -> Self {
        let (host, port) = master.split_once(':').expect("a host and a port");
        let on_demand = u8::from(on_demand);
        let words = format!(
            "<master-server>{host}</master-server><master-server-port>{port}</master-server-port>\
             <master-update-interval>2</master-update-interval><master-username>relay</master-username>\
             <master-password>{password}</master-password><relays-on-demand>{on_demand}</relays-on-demand>"
        );
        Self::start_with(50, &[], &words)
    }

    /// Starts one without sources that sends newcomers the last sixteen seconds of 128 kbit/s.
    pub(crate) fn with_long_burst() -> Self {
        let limits =
            "<limits><burst-size>262144</burst-size><queue-size>1048576</queue-size></limits>";
        Self::start_with(20, &[], limits)
    }

    fn start_with(clients: u32, mounts: &[(&str, Option<u32>)], more: &str) -> Self {
        let (home, port) = (tempfile::tempdir().unwrap(), free_port());
        let web = home.path().join("web");
        fs::create_dir(&web).unwrap();
        for page in ["status-json.xsl", "xml2json.xslt"] {
            fs::copy(Path::new(PAGES).join("web").join(page), web.join(page)).unwrap();
        }
        fs::copy(shipped_page(), web.join("load.xsl")).unwrap();
        // As root it becomes somebody else, who must be able to read this and to write its log.
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        let config = home.path().join("icecast.xml");
        fs::write(
            &config,
            settings(home.path(), port, clients, mounts) + more + "</icecast>",
        )
        .unwrap();
        let mut icecast = Self {
            port,
            server: launch(&config),
            home,
            sources: Vec::new(),
        };
        // Once in some dozen starts this program stands still before it listens.
        for _ in 0..STARTS {
            if icecast.comes_up() {
                break;
            }
            end(&mut icecast.server);
            icecast.server = launch(&config);
        }
        let answers = || get(&icecast.address(), "/status-json.xsl");
        eventually(PATIENCE, "icecast2 answers", answers);
        icecast.sources = mounts
            .iter()
            .map(|(name, _)| icecast.source(name))
            .collect();
        for (name, _) in mounts {
            let look = || so(icecast.is_on_air(name), "not yet");
            eventually(PATIENCE, &format!("{name} is on air at icecast2"), look);
        }
        icecast
    }

    /// Whether it listens within the time that it usually takes, many times over.
    fn comes_up(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < STARTED {
            if get(&self.address(), "/status-json.xsl").is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn source(&self, mount: &str) -> Child {
        let mut command = Command::new("ffmpeg");
        command.args("-nostdin -v error -re -stream_loop -1 -i".split(' '));
        command.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/cli/sample/sample.mp3"
        ));
        command.args("-map 0:a -c copy -f mp3 -content_type audio/mpeg".split(' '));
        command.arg(format!(
            "icecast://source:{PASSWORD}@{}{mount}",
            self.address()
        ));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn().unwrap()
    }

    /// Whether a mount has a source, by its own word.
    pub(crate) fn is_on_air(&self, mount: &str) -> bool {
        let status = get(&self.address(), "/status-json.xsl");
        let named = format!("{mount}\"");
        status.is_ok_and(|answer| answer.text().contains(&named))
    }

    /// The text of one of its logs, which need not be UTF-8.
    pub(crate) fn log(&self, name: &str) -> String {
        let text = fs::read(self.home.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of the server; a path can be appended.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A file with the login of its admin.
    pub(crate) fn login_file(&self) -> PathBuf {
        let file = self.home.path().join("login");
        fs::write(&file, format!("{LOGIN}\n")).unwrap();
        file
    }

    /// Takes the source from a mount, by its place in the list that it was started with.
    pub(crate) fn end_source(&mut self, index: usize) {
        end(&mut self.sources[index]);
    }

    /// Lets a source send to a mount again, by its place in that list.
    pub(crate) fn begin_source(&mut self, index: usize, mount: &str) {
        self.sources[index] = self.source(mount);
        let look = || so(self.is_on_air(mount), "not yet");
        eventually(PATIENCE, &format!("{mount} is on air at icecast2"), look);
    }

    /// Starts it again after [`Self::kill9`], without sources.
    pub(crate) fn start_again(&mut self) {
        let config = self.home.path().join("icecast.xml");
        for _ in 0..STARTS {
            self.server = launch(&config);
            if self.comes_up() {
                return;
            }
            end(&mut self.server);
        }
        panic!("icecast2 does not start again");
    }

    /// The answer to a question for its status.
    pub(crate) fn status(&self) -> String {
        let answer = get(&self.address(), "/status-json.xsl");
        answer.map(|it| it.text()).unwrap_or_default()
    }

    /// Closes the connections of all who listen to a mount.
    pub(crate) fn close_listeners(&self, mount: &str) {
        let (user, password) = LOGIN.split_once(':').expect("a user and a password");
        let ask = |target: &str| {
            get_as(&self.address(), target, user, password)
                .unwrap()
                .text()
        };
        let listed = ask(&format!("/admin/listclients?mount={mount}"));
        let numbers = listed.split("<ID>").skip(1);
        let numbers: Vec<&str> = numbers.filter_map(|it| it.split('<').next()).collect();
        assert!(!numbers.is_empty(), "{listed}");
        for number in numbers {
            ask(&format!("/admin/killclient?mount={mount}&id={number}"));
        }
    }

    /// Kills it, without a word to anybody.
    pub(crate) fn kill9(&mut self) {
        end(&mut self.server);
    }
}

impl Drop for Icecast {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("error.log"));
            eprintln!(
                "---- log of icecast2 at {}\n{}",
                self.url(),
                log.unwrap_or_default()
            );
        }
        self.sources.iter_mut().for_each(end);
        end(&mut self.server);
    }
}

fn launch(config: &Path) -> Child {
    let mut command = Command::new("icecast2");
    command.arg("-c").arg(config).stdin(Stdio::null());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ended = child.kill().and_then(|()| child.wait());
}

/// The page that is shipped for web roots.
fn shipped_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("share/load.xsl")
}

fn settings(home: &Path, port: u16, clients: u32, mounts: &[(&str, Option<u32>)]) -> String {
    let home = home.display();
    let limit = |(name, most): &(&str, Option<u32>)| {
        let most = most.map(|most| format!("<max-listeners>{most}</max-listeners>"));
        let most = most.unwrap_or_default();
        format!("<mount><mount-name>{name}</mount-name>{most}</mount>")
    };
    let mounts: String = mounts.iter().map(limit).collect();
    let (user, admin_password) = LOGIN.split_once(':').expect("a user and a password");
    let changed = match rustix::process::geteuid().is_root() {
        true => "<changeowner><user>nobody</user><group>nogroup</group></changeowner>",
        false => "",
    };
    format!(
        "<icecast><hostname>localhost</hostname>\
         <limits><clients>{clients}</clients><sources>8</sources></limits>\
         <authentication><source-password>{PASSWORD}</source-password>\
         <admin-user>{user}</admin-user><admin-password>{admin_password}</admin-password>\
         <relay-user>relay</relay-user><relay-password>{RELAY_PASSWORD}</relay-password></authentication>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>{mounts}\
         <paths><basedir>{home}</basedir><logdir>{home}</logdir><webroot>{home}/web</webroot>\
         <adminroot>{PAGES}/admin</adminroot></paths>\
         <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog>\
         <playlistlog>playlist.log</playlistlog><loglevel>3</loglevel></logging>\
         <security><chroot>0</chroot>{changed}</security>"
    )
}

/// A request to the pages of its admin is refused without the login: what the tests of logins stand on.
pub(crate) fn refuses_strangers(icecast: &Icecast) -> bool {
    let asked = format!(
        "GET /admin/stats HTTP/1.0\r\nAuthorization: {}\r\n\r\n",
        basic("admin", "wrong")
    );
    let answer = super::http::ask(&icecast.address(), &asked).unwrap();
    answer.head.status == 401
}
