// Not before the page is here whole: to leave earlier would break off its own request.
document.addEventListener("DOMContentLoaded", function () {
  // The fields stand outside a form: one named "elements" or "action" would hide the form's own property.
  var kept = document.getElementById("kept");
  var fields = Array.prototype.map.call(kept.querySelectorAll("input"), function (input) {
    return [input.name, input.value];
  });
  try {
    sessionStorage.setItem(
      "portcullis.post." + kept.dataset.key,
      JSON.stringify({ action: kept.dataset.action, fields: fields, until: Date.now() + 900000 })
    );
  } catch (full) {
    return;
  }
  location.replace(kept.dataset.next);
});
