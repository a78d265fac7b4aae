// The page works without this. With it a player that stays silent says why, and on a phone the tables are as long
// as what they hold, so that one finger moves the whole page.
"use strict";
(() => {
  // Twice what a stream needs to begin by a slow line and a redirect.
  const PATIENCE_MS = 10000;

  const watch = (player) => {
    const note = player.parentElement.querySelector(".say");
    const type = player.dataset.type;
    const elsewhere = "Open the playlist in a player such as VLC.";
    const cannot = "This browser does not play " + (type || "this format") + ". " + elsewhere;
    const known = type === "" || player.canPlayType(type) !== "";
    let timer = 0;
    let heard = 0;
    const say = (text) => { note.textContent = text; note.hidden = text === ""; };
    const rest = () => { clearTimeout(timer); };
    const wait = () => {
      rest();
      timer = setTimeout(() => say("Nothing has come for 10 s. Is the stream on air? " + elsewhere), PATIENCE_MS);
    };
    if (!known) say(cannot);
    player.addEventListener("play", () => { heard = player.currentTime; if (known) say(""); wait(); });
    player.addEventListener("timeupdate", () => {
      if (player.paused || player.currentTime === heard) return;
      heard = player.currentTime;
      say("");
      wait();
    });
    player.addEventListener("pause", rest);
    player.addEventListener("ended", () => { rest(); say("The stream has ended. Press play to ask again."); player.load(); });
    player.addEventListener("error", () => {
      rest();
      const network = player.error && player.error.code === MediaError.MEDIA_ERR_NETWORK;
      const broke = network || heard > 0;
      const told = "It does not play here: the stream is not on air, or not what it says (" + type + "). " + elsewhere;
      say(broke ? "The stream broke off. Press play to ask again." : known ? told : cannot);
      player.load();
    });
  };
  document.querySelectorAll("audio, video").forEach(watch);

  const frame = document.querySelector("iframe");
  const phone = matchMedia("(max-width: 52rem)");
  const fit = () => {
    const tables = frame.contentDocument && frame.contentDocument.body;
    frame.style.height = phone.matches && tables ? Math.ceil(tables.offsetHeight) + "px" : "";
  };
  frame.addEventListener("load", fit);
  addEventListener("resize", fit);
  fit();
})();
